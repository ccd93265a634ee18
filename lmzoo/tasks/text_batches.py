"""Lists of texts on their way through a graph, batch by batch."""

import tensorflow as tf

from lmzoo.data.values import plain_value
from lmzoo.tasks.text_arguments import list_arrays

__all__ = ["check_pairs", "list_texts", "run_in_batches"]


def list_texts(texts, name="texts"):
    """The texts as a list.

    Args:
        texts: list of str, or an array or an eager tensor of strings.
        name: str. What messages call them.
    Raises:
        TypeError: if one is not a str, or there is no list.
        ValueError: if one is not valid Unicode.
    """
    texts = list_arrays(texts)
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"`{name}` must be a string or a list of strings. Received: {name}={texts!r:.60}."
        )
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: "
                f"{text!r:.60} at index {index}."
            )
        try:
            plain_value(text)
        except ValueError as error:
            raise ValueError(f"`{name}`, index {index}: {error}") from error
    return texts


def check_pairs(texts, pairs, is_single, is_single_pair):
    """Refuses pairs that are not as many as the texts, or one alone beside a list.

    Args:
        texts, pairs: list of str.
        is_single, is_single_pair: bool. Whether one alone was given.
    Raises:
        ValueError: if they do not fit.
    """
    if len(pairs) != len(texts) or is_single != is_single_pair:
        raise ValueError(
            "`pairs` must be as many as `texts`, in the same form. Received: "
            f"{'a str' if is_single_pair else f'{len(pairs)} pairs'}, "
            f"{'a str' if is_single else f'{len(texts)} texts'}."
        )


def run_in_batches(function, columns, batch_size):
    """Runs a tf.function over lists of strings, texts of about one length together.

    Args:
        function: tf.function of string tensors (B,), which returns a dict of tensors (B, ...).
        columns: list of lists of str of one length.
        batch_size: int.
    Returns:
        list of dict of arrays, one for each text, in the order of the texts.
    """
    # Texts of about one length need little padding. The longest come first: what does not fit
    # into the memory fails at once.
    lengths = [sum(map(len, texts)) for texts in zip(*columns, strict=True)]
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    results = [None] * len(order)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [tf.constant([column[index] for index in chosen]) for column in columns]
        outputs = {name: value.numpy() for name, value in function(*batch).items()}
        for place, index in enumerate(chosen):
            results[index] = {name: value[place] for name, value in outputs.items()}
    return results
