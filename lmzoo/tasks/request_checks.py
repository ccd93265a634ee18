"""Checks inside a served graph: a bad request is refused in words, before the model runs."""

import tensorflow as tf

__all__ = ["check_texts", "check_token_batch", "require", "require_range"]


def require(tensors, rules):
    """The same tensors, available once every rule holds.

    Args:
        tensors: nested tensors.
        rules: list of (message, bool scalar tensor). A message is a str or a string tensor.
    Returns:
        `tensors`, so that what reads them waits for the rules.
    """
    asserts = [tf.debugging.Assert(holds, [message]) for message, holds in rules]
    with tf.control_dependencies(asserts):
        return tf.nest.map_structure(tf.identity, tensors)


def check_texts(names, texts):
    """Texts, once each is found to be of rank 1 and all to have one number of rows.

    Args:
        names: tuple of str. What messages call them.
        texts: tuple of string tensors (B,).
    Returns:
        tuple of string tensors (B,).
    """
    # A signature says the rank, but no request is compared with it otherwise.
    texts = tuple(tf.ensure_shape(text, [None]) for text in texts)
    rules = []
    for name, text in zip(names[1:], texts[1:], strict=True):
        counts = [tf.shape(texts[0])[0], tf.shape(text)[0]]
        received = tf.strings.format("Received: {} and {} rows.", counts)
        message = f"`{names[0]}` and `{name}` must have the same number of rows. "
        rules.append((tf.strings.join([message, received]), counts[0] == counts[1]))
    return require(texts, rules)


def check_token_batch(inputs, vocabulary_size=None, max_sequence_length=None, num_segments=0):
    """A token batch, once it is found to fit the model.

    Args:
        inputs: dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T) and, where the model
            has segments, `segment_ids` int32 (B, T).
        vocabulary_size: int or None. V; None for ids that are checked elsewhere.
        max_sequence_length: int or None. The largest T; None for any.
        num_segments: int.
    Returns:
        dict as `inputs`.
    """
    inputs = {name: tf.ensure_shape(value, [None, None]) for name, value in inputs.items()}
    shape = tf.shape(inputs["token_ids"])
    rules = [
        (
            f"`{name}` must have the shape of `token_ids`, as each id has one of them.",
            tf.reduce_all(tf.shape(inputs[name]) == shape),
        )
        for name in inputs
        if name != "token_ids"
    ]
    if max_sequence_length is not None:
        received = tf.strings.format("Received: {} tokens.", shape[1])
        message = f"`token_ids` must have at most {max_sequence_length} tokens a row. "
        rules.append((tf.strings.join([message, received]), shape[1] <= max_sequence_length))
    # The shapes come first: otherwise the comparisons below fail in TensorFlow's words.
    inputs = require(inputs, rules)
    limits = {"token_ids": vocabulary_size, "segment_ids": num_segments}
    # A gather would read a negative id from the end of its table.
    limits = {name: limit for name, limit in limits.items() if limit and name in inputs}
    return require(inputs, [require_range(name, inputs[name], limits[name]) for name in limits])


def require_range(name, values, limit):
    """A rule for `require`: integers from 0 to `limit` - 1."""
    holds = tf.reduce_all((values >= 0) & (values < limit))
    return f"`{name}` must be from 0 to {limit - 1}.", holds
