"""The tokenizer of a model's folder, checked against the model."""

from lmzoo.hub.files.sentence_transformers import check_lower_case
from lmzoo.hub.files.tokenizers import load_tokenizer
from lmzoo.hub.files.vocabulary_sizes import check_vocabulary_files

__all__ = ["open_tokenizer"]


def open_tokenizer(folder, plan):
    """Opens the tokenizer of a model that has not been built.

    Args:
        folder: pathlib.Path.
        plan: Plan. What the folder opens as.
    Returns:
        a tokenizer of `lmzoo.tokenizers`, or None if there is none.
    Raises:
        ValueError: if its files are broken, of a kind that is not read, far too large, or have more
            words than the model, or if texts need small letters and the tokenizer keeps capitals.
    """
    vocabulary_size = plan.arguments["vocabulary_size"]
    check_vocabulary_files(folder, vocabulary_size)
    tokenizer = load_tokenizer(folder, vocabulary_size, plan.task)
    if plan.task == "TextEmbedder":
        check_lower_case(folder, tokenizer)
    return tokenizer
