"""Lists of texts on their way through a graph, batch by batch."""

import tensorflow as tf

__all__ = ["list_texts", "run_in_batches"]


def list_texts(texts, name="texts"):
    """The texts as a list; raises TypeError, with `name` in it, if one is not a str."""
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: "
                f"{text!r:.60} at index {index}."
            )
    return texts


def run_in_batches(function, columns, batch_size):
    """Runs a tf.function over lists of strings, texts of about one length together.

    Args:
        function: tf.function of string tensors (B,), which returns a dict of tensors (B, ...).
        columns: list of lists of str of one length; the first one's lengths decide the order.
        batch_size: int.
    Returns:
        list of dict of arrays, one for each text, in the order of the texts.
    """
    # Texts of about one length need little padding.
    order = sorted(range(len(columns[0])), key=lambda index: -len(columns[0][index]))
    results = [None] * len(order)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [tf.constant([column[index] for index in chosen]) for column in columns]
        outputs = {name: value.numpy() for name, value in function(*batch).items()}
        for place, index in enumerate(chosen):
            results[index] = {name: value[place] for name, value in outputs.items()}
    return results
