"""Training a SentencePiece model on text files or on an iterator of texts."""

import io

from lmzoo.runtime.sentence_piece_file.model import MODEL_TYPES
from lmzoo.tokenizers.training import iterate_texts

__all__ = ["train_sentence_pieces"]

# The library leaves longer lines out without a word, so they are cut here.
_MAX_LINE_CHARACTERS = 4000
_ROLES = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
# The result depends on it, so it must not depend on the machine.
_NUM_THREADS = 4


def train_sentence_pieces(
    files_or_iterator,
    num_pieces,
    model_type="unigram",
    byte_fallback=False,
    verbose=False,
    special_tokens=(),
):
    """Trains a model with the special tokens of T5; the same text gives the same pieces.

    Args:
        files_or_iterator: as for `iterate_texts`.
        num_pieces: int. How many there may be, `<pad>`, `</s>` and `<unk>` included.
        model_type: str. "unigram" or "bpe".
        byte_fallback: bool. If True, there is a piece for each byte, and no character is unknown.
        verbose: bool. If True, the library says on the terminal what it does.
        special_tokens: tuple of str. Further pieces that are never read from text.
    Returns:
        bytes. A model file.
    Raises:
        ImportError: if the sentencepiece library is not installed.
        ValueError: if an argument is wrong, or the library finds the text unfit.
    """
    if model_type not in MODEL_TYPES:
        raise ValueError(
            f"`model_type` must be {' or '.join(map(repr, MODEL_TYPES))}. "
            f"Received: {model_type!r:.80}."
        )
    try:
        # Imported here: only training needs the library, and encoding must not depend on it.
        import sentencepiece
    except ImportError as error:
        raise ImportError(
            "`train` needs the package sentencepiece. Received: an environment without it. "
            "Install lmzoo[train-tokenizer]."
        ) from error

    written, problems = io.BytesIO(), []
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_cut_lines(files_or_iterator, problems),
            model_writer=written,
            model_type=model_type,
            vocab_size=num_pieces,
            # A short text gives fewer.
            hard_vocab_limit=False,
            byte_fallback=byte_fallback,
            bos_id=-1,
            **{f"{role}_id": index for index, role in enumerate(_ROLES)},
            control_symbols=[token for token in special_tokens if token not in _ROLES.values()],
            max_sentence_length=8 * _MAX_LINE_CHARACTERS,
            num_threads=_NUM_THREADS,
            minloglevel=0 if verbose else 2,
        )
    except (RuntimeError, OSError) as error:
        if problems:
            raise problems[0] from None
        raise ValueError(
            "`vocabulary_size` must fit the text. Received: "
            f"{num_pieces} pieces beside the sentinels, and sentencepiece says: {error!s:.300}"
        ) from error
    return written.getvalue()


def _cut_lines(files_or_iterator, problems):
    has_words = False
    try:
        for text in iterate_texts(files_or_iterator):
            has_words = has_words or bool(text.strip())
            for line in text.split("\n"):
                for start in range(0, len(line), _MAX_LINE_CHARACTERS):
                    yield line[start : start + _MAX_LINE_CHARACTERS]
        if not has_words:
            raise ValueError("`files_or_iterator` must give text. Received: white space alone.")
    except Exception as error:
        # The library would turn it into words of its own.
        problems.append(error)
        raise
