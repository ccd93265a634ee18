"""Prediction: a task's traced functions, and running them over lists of texts."""

import numpy as np
import tensorflow as tf

from lmzoo.data.progress import progress_bar
from lmzoo.tasks.request_checks import check_texts, check_token_batch
from lmzoo.tracing import trace_once

__all__ = ["check_finite", "make_text_function", "make_tokens_function", "run_in_batches"]

# What a traced function says of its texts beside the prediction.
_NOT_SERVED = ("is_truncated", "is_finite")


def make_text_function(function, names, served):
    """A tf.function of texts, string (B,).

    Args:
        function: callable. Takes as many string tensors, returns a dict of tensors.
        names: tuple of str. The names of the inputs.
        served: bool. Whether it is for export, without the result's `is_truncated`.
    Returns:
        tf.function.
    """

    def serve(*texts):
        outputs = function(*check_texts(names, texts))
        return {name: outputs[name] for name in outputs if name not in _NOT_SERVED}

    specs = [tf.TensorSpec([None], tf.string, name) for name in names]
    return trace_once(serve if served else function, specs)


def make_tokens_function(task, output):
    """A tf.function of token batches, which refuses those that do not fit the backbone.

    Its inputs are `token_ids` int32 (B, T), `padding_mask` bool (B, T) and, for a backbone with
    segments, `segment_ids` int32 (B, T).

    Args:
        task: callable on a dict of these.
        output: str. The name of the result.
    Returns:
        tf.function.
    """
    names, backbone = ["token_ids", "padding_mask"], task.backbone
    if backbone.num_segments > 1:
        names.append("segment_ids")
    dtypes = {"padding_mask": tf.bool}
    specs = [tf.TensorSpec([None, None], dtypes.get(name, tf.int32), name) for name in names]

    def tokens(*values):
        inputs = check_token_batch(
            dict(zip(names, values, strict=True)),
            backbone.vocabulary_size,
            backbone.max_sequence_length,
            backbone.num_segments,
        )
        return {output: task(inputs, training=False)}

    return trace_once(tokens, specs)


def run_in_batches(function, columns, batch_size, verbose=True):
    """Runs a tf.function over lists of strings in batches of texts of similar length.

    Args:
        function: tf.function of string tensors (B,), which returns a dict of tensors (B, ...).
        columns: list of lists of str of one length.
        batch_size: int.
        verbose: bool. Whether a terminal shows the progress of work that takes over a second.
    Returns:
        list of dict of arrays, one for each text, in the order of the texts.
    """
    # Texts of similar length need little padding. The longest come first, so that a batch that
    # exceeds the memory fails at once.
    lengths = [sum(map(len, texts)) for texts in zip(*columns, strict=True)]
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    results = [None] * len(order)
    with progress_bar("Predicting", len(order), verbose) as advance:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = [tf.constant([column[index] for index in chosen]) for column in columns]
            outputs = {name: value.numpy() for name, value in function(*batch).items()}
            for row, index in enumerate(chosen):
                results[index] = {name: value[row] for name, value in outputs.items()}
            advance(len(chosen))
    return results


def check_finite(results, texts):
    """Refuses predictions out of scores that are not numbers.

    Args:
        results: list of dict of arrays, of `run_in_batches`. An `is_finite` in it is removed.
        texts: list of str, one for each.
    Raises:
        ValueError: if a float is not finite, or `is_finite` is False; it shows the text.
    """
    for text, result in zip(texts, results, strict=True):
        is_finite = result.pop("is_finite", True)
        for value in map(np.asarray, result.values()):
            if np.issubdtype(value.dtype, np.floating):
                is_finite &= np.isfinite(value).all()
        if not is_finite:
            raise ValueError(
                "The scores of a model must be finite. Received: NaN or infinity for the text "
                f"{text!r:.60}. Its weights have probably diverged in training, or overflow in "
                "float16."
            )
