"""Texts and rows of ids as callers pass them, checked and made lists."""

import numpy as np

__all__ = ["check_batch_size", "list_ids", "list_texts", "read_columns"]


def check_batch_size(batch_size):
    """Refuses a `batch_size` that is neither None nor a positive int."""
    if batch_size is None:
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer):
        raise TypeError(f"`batch_size` must be an int. Received: batch_size={batch_size!r}.")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be positive. Received: batch_size={batch_size}.")


def list_texts(texts, name="texts"):
    """Texts as a list of str.

    Args:
        texts: list of str, or an array of them.
        name: str. The argument's name, for messages.
    Raises:
        TypeError: if they are no list, or one is not a str.
        ValueError: if one is not valid Unicode.
    """
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"`{name}` must be a string or a list of strings. Received: {name}={texts!r:.60}."
        )
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: {text!r:.60} at index "
                f"{index}."
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"`{name}` must hold valid Unicode. Received: a lone surrogate "
                f"{text[error.start]!r} at character {error.start} of index {index}, {text!r:.60}."
            ) from error
    # NumPy's str is a str of its own.
    return [str(text) for text in texts]


def read_columns(read_texts, texts, pairs):
    """Texts, or texts and the second ones of pairs.

    Args:
        read_texts: callable of texts and the argument's name: a list of str, and whether it was one
            text.
        texts, pairs: what it takes. `pairs` may be None.
    Returns:
        (list, bool): [texts] or [texts, pairs], and whether they were single texts.
    Raises:
        ValueError: if they differ in number or form.
    """
    texts, is_single = read_texts(texts)
    if pairs is None:
        return [texts], is_single
    pairs, is_single_pair = read_texts(pairs, "pairs")
    if len(pairs) != len(texts) or is_single != is_single_pair:
        raise ValueError(
            "`pairs` must be as many as `texts`, in the same form. Received: "
            f"{'a str' if is_single_pair else f'{len(pairs)} pairs'}, "
            f"{'a str' if is_single else f'{len(texts)} texts'}."
        )
    return [texts, pairs], is_single


def list_ids(prompts, vocabulary_size, name="prompts"):
    """Makes a list of rows of ids, and says whether one row alone was given.

    Args:
        prompts: list of ids, or a list of such lists or arrays.
        vocabulary_size: int. V, what an id must be below.
        name: str. The argument's name, for messages.
    Returns:
        (list, bool): rows of int, and whether one row alone was given.
    Raises:
        TypeError: if they are something else.
        ValueError: if an id is not in the vocabulary.
    """
    rule = f"`{name}` must be a list of ids, or of such lists, as the task has no tokenizer."
    if isinstance(prompts, str | bytes | dict) or not hasattr(prompts, "__iter__"):
        raise TypeError(f"{rule} Received: {prompts!r:.80}.")
    rows = [_to_plain_list(row) for row in prompts]
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


def _to_plain_list(row):
    """A row of numbers, of whatever kind, as a list of Python's own."""
    try:
        return np.asarray(row).tolist()
    except ValueError:
        # Lists within lists: left as they are, to be named in an error.
        return row
