"""Lists of texts on their way through a graph, batch by batch."""

import tensorflow as tf

from lmzoo.data.values import plain_value

__all__ = ["list_texts", "run_in_batches"]


def list_texts(texts, name="texts"):
    """The texts as a list.

    Raises:
        TypeError: if one is not a str, or there is no list; with `name` in it.
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
                f"`{name}` must be a string or a list of strings. Received: "
                f"{text!r:.60} at index {index}."
            )
        plain_value(text)
    return texts


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
