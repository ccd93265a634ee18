"""Prompts as a caller gives them, made lists that a task can rely on."""

import numpy as np

from lmzoo.data.rows.texts import list_texts

__all__ = ["list_prompts"]


def list_prompts(prompts, vocabulary_size, is_text=False, name="prompts"):
    """Makes a list of prompts, and says whether one alone was given.

    Args:
        prompts: str or list of str; where not `is_text`, list of ids, or a list of such lists.
        vocabulary_size: int. V, what an id must be below.
        is_text: bool. Whether prompts are texts.
        name: str. What an error calls them.
    Returns:
        (list, bool): prompts, each a str or a list of int, and whether one alone was given.
    Raises:
        TypeError: if a prompt is of the wrong type.
        ValueError: if an id is not in the vocabulary, or a text is not valid Unicode.
    """
    if not is_text:
        return _list_ids(prompts, vocabulary_size, name)
    is_single = isinstance(prompts, str)
    return list_texts([prompts] if is_single else prompts, name), is_single


def _list_ids(prompts, vocabulary_size, name):
    rule = f"`{name}` must be a list of ids, or of such lists, as the task has no tokenizer."
    if isinstance(prompts, str | bytes | dict) or not hasattr(prompts, "__iter__"):
        raise TypeError(f"{rule} Received: {prompts!r:.80}.")
    rows = [_make_plain(row) for row in prompts]
    is_single = bool(rows) and not isinstance(rows[0], list)
    rows = [rows] if is_single else rows
    for index, row in enumerate(rows):
        if not isinstance(row, list):
            raise TypeError(f"{rule} Received: {row!r:.80} at index {index}.")
        for token_id in row:
            if type(token_id) is not int:
                raise TypeError(f"{rule} Received: {token_id!r:.80} in prompt {index}.")
            # Left alone, a negative id would be counted from the end of the vocabulary.
            if not 0 <= token_id < vocabulary_size:
                raise ValueError(
                    f"`{name}` must have ids from 0 to {vocabulary_size - 1}. Received: "
                    f"{token_id} in prompt {index}."
                )
    return rows, is_single


def _make_plain(row):
    """A row of numbers, of whatever kind, as a list of Python's own."""
    try:
        return np.asarray(row).tolist()
    except ValueError:
        # Lists within lists: left as they are, to be named in an error.
        return row
