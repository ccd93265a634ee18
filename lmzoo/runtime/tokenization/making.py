"""The tokenizer of an exported file."""

__all__ = ["make_tokenizer"]


def make_tokenizer(spec, data):
    """Opens the tokenizer of an exported file; the library it needs is imported here.

    Args:
        spec: TokenizerSpec.
        data: bytes. The file that `spec.file` names.
    Returns:
        Tokenizer.
    Raises:
        ImportError: if the library is not installed.
        ValueError: if the file is broken or does not fit to `spec`.
    """
    try:
        if spec.kind == "sentence_piece":
            from .sentence_piece import SentencePieceTokenizer

            return SentencePieceTokenizer(spec, data)
        if spec.kind == "word_piece":
            from .word_piece import WordPieceTokenizer

            return WordPieceTokenizer(spec, data)
        from .byte_pair import BytePairTokenizer

        return BytePairTokenizer(spec, data)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"A tokenizer of kind {spec.kind!r} needs {error.name}. Received: no such package. "
            f"Install it, `pip install {error.name}`."
        ) from error
