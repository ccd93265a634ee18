"""Opening whatever tokenizer lies beside a model."""

from lmzoo.json_files import read_json
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

__all__ = ["load_tokenizer"]

# What tokenizer.json calls the kind of a model, and the file that old folders have of it.
_KINDS = {
    "BPE": BytePairTokenizer,
    "WordPiece": WordPieceTokenizer,
    "Unigram": SentencePieceTokenizer,
}
_OLD_FILES = {
    "vocab.json": BytePairTokenizer,
    "vocab.txt": WordPieceTokenizer,
    "spiece.model": SentencePieceTokenizer,
    "tokenizer.model": SentencePieceTokenizer,
}


def load_tokenizer(folder, vocabulary_size):
    """The tokenizer in a model's folder, or None if there is none.

    Args:
        folder: pathlib.Path.
        vocabulary_size: int. How many words the model has.
    Raises:
        ValueError: if the files are broken, of a kind that is not read, or have more words.
    """
    kind = _find_kind(folder)
    if kind is None:
        return None
    tokenizer = kind.load(folder)
    if tokenizer.vocabulary_size > vocabulary_size:
        raise ValueError(
            "The tokenizer must not have more words than the model. Received: "
            f"{tokenizer.vocabulary_size} words in {str(folder)!r}, whose config.json says "
            f"{vocabulary_size}."
        )
    return tokenizer


def _find_kind(folder):
    if not (folder / "tokenizer.json").exists():
        found = (kind for name, kind in _OLD_FILES.items() if (folder / name).exists())
        return next(found, None)
    model = read_json(folder / "tokenizer.json").get("model")
    # Files of old versions of the tokenizers library do not name BPE.
    name = model.get("type", "BPE") if isinstance(model, dict) else model
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(
            f"tokenizer.json must hold a model of type {' or '.join(_KINDS)}. Received: "
            f"{str(folder)!r} with {name!r:.80}."
        )
    # Llama 2's pairs are of characters, which a SentencePiece model merges as well.
    if name == "BPE" and isinstance(model, dict) and model.get("byte_fallback"):
        return SentencePieceTokenizer
    return _KINDS[name]
