"""Opening whatever tokenizer lies beside a model, and writing it there."""

import copy

from lmzoo import tasks
from lmzoo.hub.files.sentence_transformers import apply_lower_case
from lmzoo.hub.files.vocabulary_sizes import check_vocabulary_files
from lmzoo.json_files import read_json
from lmzoo.tokenizers import (
    BytePairTokenizer,
    ByteTokenizer,
    SentencePieceTokenizer,
    WordPieceTokenizer,
)

__all__ = ["load_tokenizer", "open_tokenizer", "save_tokenizer"]

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
    "sentencepiece.bpe.model": SentencePieceTokenizer,
}


def load_tokenizer(folder, vocabulary_size, task=None):
    """The tokenizer in a model's folder, or None if there is none.

    Args:
        folder: pathlib.Path.
        vocabulary_size: int. How many words the model has.
        task: str or None. The class of `lmzoo.tasks` that it is for.
    Raises:
        ValueError: if the files are broken, of a kind that is not read, or have more words; or if
            they end each text where the task goes on with it.
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
    # A WordPiece tokenizer's files always say so.
    is_generative = task is not None and getattr(tasks, task).is_generative
    if is_generative and tokenizer.add_bos_and_eos and kind is not WordPieceTokenizer:
        raise ValueError(
            "tokenizer.json must not have a `post_processor` that puts a token before and behind "
            f"each text, as it is for {task}. Received: {str(folder)!r}, where "
            f"{tokenizer.id_to_token(tokenizer.end_token_id)!r} stands behind."
        )
    return tokenizer


def open_tokenizer(folder, spec):
    """Opens the tokenizer of a model that has not been built.

    Args:
        folder: pathlib.Path.
        spec: CheckpointSpec. What the folder opens as.
    Returns:
        a tokenizer of `lmzoo.tokenizers`, or None if there is none.
    Raises:
        ValueError: if its files are broken, of a kind that is not read, far too large, or have more
            words than the model, or if texts need small letters and the tokenizer keeps capitals.
    """
    vocabulary_size = spec.arguments["vocabulary_size"]
    check_vocabulary_files(folder, vocabulary_size)
    tokenizer = load_tokenizer(folder, vocabulary_size, spec.task)
    if spec.task == "TextEmbedder":
        apply_lower_case(folder, tokenizer)
    return tokenizer


def save_tokenizer(folder, task):
    """Writes the tokenizer of a task so that others give a text the ids that the task gives it.

    Args:
        folder: pathlib.Path.
        task: a task of `lmzoo.tasks`. Without a tokenizer nothing is written.
    """
    tokenizer = task.tokenizer
    if tokenizer is None:
        return
    if not task.is_generative and not tokenizer.add_bos_and_eos:
        # The caller's own tokenizer stays as it is.
        tokenizer = copy.copy(tokenizer)
        tokenizer.add_bos_and_eos = None not in (tokenizer.start_token_id, tokenizer.end_token_id)
    tokenizer.save(folder)


def _find_kind(folder):
    if not (folder / "tokenizer.json").exists():
        found = (kind for name, kind in _OLD_FILES.items() if (folder / name).exists())
        return next(found, None) or _find_kind_without_vocabulary(folder)
    model = read_json(folder / "tokenizer.json").get("model")
    # Files of old versions of the tokenizers library do not name the type.
    name = model
    if isinstance(model, dict):
        kind = "WordPiece" if "max_input_chars_per_word" in model else "BPE"
        name = model.get("type", kind)
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(
            f"tokenizer.json must hold a model of type {' or '.join(_KINDS)}. Received: "
            f"{str(folder)!r} with {name!r:.80}."
        )
    # Llama 2's pairs are of characters, which a SentencePiece model merges as well.
    if name == "BPE" and isinstance(model, dict) and model.get("byte_fallback"):
        return SentencePieceTokenizer
    return _KINDS[name]


def _find_kind_without_vocabulary(folder):
    """ByT5's tokens are bytes, so that its class is all that a folder says."""
    path = folder / "tokenizer_config.json"
    if path.exists() and read_json(path).get("tokenizer_class") == "ByT5Tokenizer":
        return ByteTokenizer
    return None
