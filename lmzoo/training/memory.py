"""How much memory training will take, before a weight is made."""

import math
import pathlib

import tensorflow as tf

from lmzoo.tasks.head_loss import defer_logits
from lmzoo.text_files.checks import check_at_least
from lmzoo.training.graph_memory import find_peak

__all__ = ["describe_batch", "estimate_memory"]

# What TensorFlow takes beside tensors, from nine runs on a processor with 1 to 12 blocks: to begin
# with, for each operation of the graph, and to compile the update of the weights.
_RUNTIME, _PER_OPERATION, _COMPILER = 100 << 20, 20 << 10, 150 << 20
# The allocator of the C library keeps about a third of what is freed, and not much more than this.
_SHARE_KEPT, _MOST_KEPT = 0.35, 200 << 20
# A compiled update writes new values beside the old ones: two copies were seen.
_COPIES_OF_UPDATE = 2


def estimate_memory(make_task, batch, accumulation_steps=1):
    """Estimates the peak memory of training on a processor, without making a weight.

    The task and its training step are traced as a graph of symbols, and the tensors of the graph
    are counted while they are needed. So remat, chunks, precision and heads count as they are.

    Args:
        make_task: callable that makes the task, compiled or not.
        batch: (inputs, labels, weights or None) of tf.TensorSpec without unknown sizes, as the
            batches of `fit`; or a callable that makes it of the task, see `describe_batch`.
        accumulation_steps: int. As `gradient_accumulation_steps` of `compile`.
    Returns:
        dict of int. `parameters` is a number, the others are bytes: of the `weights`; of the state
        of the `optimizer`; of `activations` with gradients, at their peak; of the `update` beside
        them; of the `process` as it is now; of the `runtime`, what TensorFlow and its allocator
        take; and `total`, their sum. A graphics card holds the first four.
    Raises:
        ValueError: if `accumulation_steps` is not an int of at least 1.
    """
    check_at_least(1, accumulation_steps=accumulation_steps)
    process = _read_memory()
    graph = tf.Graph()
    with graph.as_default():
        task = make_task()
        if not task.compiled:
            task.compile()
        batch = batch(task) if callable(batch) else batch
        gradients = _trace_step(task, _make_inputs(batch, accumulation_steps))
        task.optimizer.build(task.trainable_variables)
    trained = sum(map(_count_bytes, task.trainable_variables))
    activations = find_peak(graph, gradients)
    if accumulation_steps > 1:
        activations += trained
    decides = getattr(task.optimizer, "compiles", None)
    is_compiled = decides is not None and decides(task.trainable_variables)
    found = {
        "weights": sum(map(_count_bytes, task.weights)),
        "optimizer": sum(map(_count_bytes, task.optimizer.variables)),
        "activations": activations,
        "update": _COPIES_OF_UPDATE * trained * is_compiled,
        "process": process,
        "runtime": _RUNTIME
        + _PER_OPERATION * len(graph.get_operations())
        + _COMPILER * is_compiled
        + min(_MOST_KEPT, round(_SHARE_KEPT * activations)),
    }
    parameters = sum(math.prod(weight.shape) for weight in task.weights)
    return {"parameters": parameters, **found, "total": sum(found.values())}


def describe_batch(task, batch_size, sequence_length):
    """The batch of a task of language modelling or of classes, for `estimate_memory`.

    Args:
        task: a task of `lmzoo.tasks`.
        batch_size: int. B.
        sequence_length: int. T, of sources and targets both.
    Returns:
        (inputs, labels, weights or None) of tf.TensorSpec.
    Raises:
        ValueError: if a size is not an int of at least 1, there are fewer positions, or the task
            has batches of another form.
    """
    check_at_least(1, batch_size=batch_size, sequence_length=sequence_length)
    longest = task.backbone.max_sequence_length
    if sequence_length > longest:
        raise ValueError(
            "`sequence_length` must be at most the model's `max_sequence_length`. Received: "
            f"sequence_length={sequence_length}, max_sequence_length={longest}."
        )
    kind = type(task).__name__
    if kind not in _LABELS:
        raise ValueError(
            f"`task` must be one of {', '.join(_LABELS)}. Received: a {kind}. Give "
            "`estimate_memory` a batch of tf.TensorSpec."
        )
    tokens = (batch_size, sequence_length)
    # A backbone of two stacks names its inputs for both; a task that reads has the first alone.
    names = task.backbone.input_dtypes
    if not task.is_generative and task.backbone.kind == "encoder_decoder":
        names = {"token_ids": "int32", "padding_mask": "bool"}
    inputs = {name: tf.TensorSpec(tokens, dtype) for name, dtype in names.items()}
    shape, dtype, is_weighted = _LABELS[kind](task, tokens)
    if kind == "MaskedLM":
        inputs["mask_positions"] = tf.TensorSpec(shape, tf.int32)
    weights = tf.TensorSpec(shape, tf.float32) if is_weighted else None
    return inputs, tf.TensorSpec(shape, dtype), weights


# Of each task: the shape and dtype of the labels, and whether each has a weight.
_LABELS = {
    "CausalLM": lambda task, tokens: (tokens, tf.int32, True),
    "Seq2SeqLM": lambda task, tokens: (tokens, tf.int32, True),
    "MaskedLM": lambda task, tokens: (
        (tokens[0], math.ceil(task.mask_rate * tokens[1])),
        tf.int32,
        True,
    ),
    "TextClassifier": lambda task, tokens: (
        (tokens[0], len(task.labels)) if task.multi_label else tokens[:1],
        tf.int32,
        False,
    ),
    "TextRegressor": lambda task, tokens: ((tokens[0], task.num_targets), tf.float32, False),
    "TokenClassifier": lambda task, tokens: (tokens, tf.int32, True),
    "QuestionAnswerer": lambda task, tokens: ((tokens[0], 2), tf.int32, False),
}


def _make_inputs(batch, num_parts):
    """Symbols for a batch, or for the largest of its parts."""
    rows = -(-tf.nest.flatten(batch)[0].shape[0] // num_parts)

    def make(spec):
        shape = [rows, *spec.shape[1:]]
        return tf.raw_ops.Placeholder(dtype=spec.dtype, shape=shape)

    return [None if part is None else tf.nest.map_structure(make, part) for part in batch]


def _trace_step(task, batch):
    """The gradients of a training step, list of dense tensors."""
    inputs, labels, weights = batch
    with tf.GradientTape() as tape:
        with defer_logits(getattr(task, "can_defer_logits", bool)()):
            outputs = task(inputs, training=True)
            loss = task.compute_loss(inputs, labels, outputs, weights, training=True)
    gradients = tape.gradient(loss, [variable.value for variable in task.trainable_variables])
    return [tf.convert_to_tensor(one) for one in gradients if one is not None]


def _count_bytes(variable):
    return math.prod(variable.shape) * tf.as_dtype(variable.dtype).size


def _read_memory():
    """The bytes that this process holds; 0 where the system does not say it in a file."""
    try:
        pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * 4096
