"""Lists of texts on their way through a graph, batch by batch."""

import tensorflow as tf

__all__ = ["check_pairs", "run_in_batches"]


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
