"""The traced functions of a reading task: from texts, or from tokens, to what it computes."""

import tensorflow as tf

__all__ = ["make_text_function", "make_tokens_function"]


def make_text_function(function, names, served):
    """A tf.function of texts, string (B,).

    Args:
        function: callable. Takes as many string tensors, returns a dict of tensors.
        names: tuple of str. What the texts are called.
        served: bool. Whether it is for export; then the result's `is_truncated` is left out.
    Returns:
        tf.function.
    """

    def serve(*texts):
        outputs = function(*texts)
        return {name: outputs[name] for name in outputs if name != "is_truncated"}

    specs = [tf.TensorSpec([None], tf.string, name) for name in names]
    return tf.function(serve if served else function, autograph=False, input_signature=specs)


def make_tokens_function(task, output):
    """A tf.function of token batches, which refuses ids that the task does not know.

    Its inputs are `token_ids` int32 (B, T), `padding_mask` bool (B, T) and, for a backbone with
    segments, `segment_ids` int32 (B, T).

    Args:
        task: callable on a dict of these.
        output: str. The name of the result.
    Returns:
        tf.function.
    """
    names = ["token_ids", "padding_mask"]
    if task.backbone.num_segments > 1:
        names.append("segment_ids")
    dtypes = {"padding_mask": tf.bool}
    specs = [tf.TensorSpec([None, None], dtypes.get(name, tf.int32), name) for name in names]

    def tokens(*values):
        ids = values[0]
        # Left alone, a negative id would be counted from the end of the vocabulary.
        known = tf.reduce_all((ids >= 0) & (ids < task.backbone.vocabulary_size))
        message = f"`token_ids` must be from 0 to {task.backbone.vocabulary_size - 1}."
        with tf.control_dependencies([tf.debugging.Assert(known, [message])]):
            inputs = {name: tf.identity(value) for name, value in zip(names, values, strict=True)}
        return {output: task(inputs, training=False)}

    return tf.function(tokens, autograph=False, input_signature=specs)
