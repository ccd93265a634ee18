"""The cross-entropy of tokens from hidden states, a chunk of rows at a time.

Logits (R, V) of all R tokens of a batch are the largest tensor of a training step. Here each chunk
of rows gives its share of the loss and of the gradients while its logits are there, and they are
never there again.

Shapes: R rows, tokens of all texts; E width of the head's input; V vocabulary.
"""

import contextvars
import functools
import math

import keras
import tensorflow as tf

from lmzoo.layers.contexts import hold
from lmzoo.tasks.losses import TokenCrossentropy
from lmzoo.tensorflow_ops import may_compile
from lmzoo.tracing import trace_once

__all__ = ["HeadLoss", "chunked_crossentropy", "defer_logits"]

# How many float32 logits a chunk has: 128 MiB.
_CHUNK_LOGITS = 1 << 25
# Fewer rows make adding up the gradient of the table slower than the products.
_MIN_ROWS = 256
# Where the number of rows is not known, smaller vocabularies are left alone.
_MIN_VOCABULARY = 8192

_is_deferred = contextvars.ContextVar("is_deferred", default=False)


def defer_logits(is_deferred=True):
    """A context in which a task with `HeadLoss` gives hidden states, whose loss is computed so."""
    return hold(_is_deferred, is_deferred)


class HeadLoss:
    """A mixin before `Task`, for a task that scores every token of a vocabulary.

    A subclass ends its `call` with `score_tokens(hidden)`, and has `compute_logits(hidden)`, the
    logits (B, T, V), and `split_head(hidden)`, which gives the input of the product that makes
    them, float (B, T, E), the table (V, E), and a bias (V,) or None.
    """

    def score_tokens(self, hidden):
        """The logits float (B, T, V); in `defer_logits` dict of `hidden` float (B, T, D)."""
        if _is_deferred.get() and self._is_large(hidden.shape):
            return {"hidden": hidden}
        return self.compute_logits(hidden)

    def _is_large(self, shape):
        size = self.backbone.vocabulary_size
        if None in shape[:2]:
            return size >= _MIN_VOCABULARY
        return math.prod(shape[:2]) * size > _CHUNK_LOGITS

    def can_defer_logits(self):
        """Whether the loss and the metrics of a training step need no logits of the whole batch."""
        loss, plain = self.loss, keras.losses.SparseCategoricalCrossentropy
        is_right = type(loss) is TokenCrossentropy or (
            type(loss) is plain
            and loss.get_config()["from_logits"]
            and loss.get_config()["ignore_class"] is None
        )
        return (
            is_right
            and loss.reduction == "mean_with_sample_weight"
            and loss.dtype == "float32"
            and self._metrics_are_auto
            and not self.jit_compile
        )

    def train_step(self, data):
        with defer_logits(self.can_defer_logits()):
            return super().train_step(data)

    def compute_batch_loss(self, x, y, y_pred, sample_weight, training):
        if not isinstance(y_pred, dict):
            return super().compute_batch_loss(x, y, y_pred, sample_weight, training)
        features, table, bias = self.split_head(y_pred["hidden"])
        labels = tf.convert_to_tensor(y)
        weights = tf.ones(tf.shape(labels))
        if sample_weight is not None:
            sample_weight = tf.cast(sample_weight, tf.float32)
            if sample_weight.shape.rank < labels.shape.rank:
                sample_weight = sample_weight[:, None]
            weights *= sample_weight
        loss, predictions = chunked_crossentropy(
            tf.reshape(features, [-1, features.shape[-1]]),
            table,
            bias,
            tf.reshape(labels, [-1]),
            tf.reshape(weights, [-1]),
            getattr(self.loss, "label_smoothing", 0.0),
            getattr(self.loss, "z_loss", 0.0),
            with_predictions=self.reads_predictions,
        )
        if self.reads_predictions:
            y_pred["predictions"] = tf.reshape(predictions, tf.shape(labels))
        count = tf.size(labels) if sample_weight is None else tf.reduce_sum(sample_weight)
        mean = tf.math.divide_no_nan(loss, tf.cast(count, loss.dtype))
        # What Keras does to a loss under a strategy, and those of layers.
        mean = _Given(name="given")(mean[None], mean[None])
        return tf.add_n([mean, *(tf.reduce_sum(tf.cast(one, mean.dtype)) for one in self.losses)])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if isinstance(y_pred, dict):
            y_pred = y_pred.get("predictions")
        return super().compute_metrics(x, y, y_pred, sample_weight)


class _Given(keras.losses.Loss):
    """Losses that are computed already."""

    def call(self, y_true, y_pred):
        return y_pred


def chunked_crossentropy(
    features,
    table,
    bias,
    labels,
    weights,
    label_smoothing=0.0,
    z_loss=0.0,
    with_predictions=False,
    chunk_rows=None,
):
    """The weighted sum of the cross-entropies of rows, with the memory of one chunk of logits.

    The gradients are computed with the loss, so that no product is computed twice. They are right
    for one loss, which may be scaled, but not for a gradient of the gradient.

    Args:
        features: float (R, E), in the dtype of the products.
        table: float tensor or variable (V, E).
        bias: float tensor or variable (V,), added to the logits, or None.
        labels: int (R,).
        weights: float (R,). No gradient is computed for them.
        label_smoothing, z_loss: as for `lmzoo.tasks.losses.TokenCrossentropy`.
        with_predictions: bool. Whether to find the most probable token of each row.
        chunk_rows: int or None. The rows of a chunk; None for 2 ** 25 logits, and at least 256.
    Returns:
        float scalar, in float32 or float64; and int64 (R,), zeros without `with_predictions`.
    Reference: Hsu et al. 2024, https://arxiv.org/abs/2410.10989, section 3.2 (gradients with the
        loss).
    """
    table, labels = tf.convert_to_tensor(table), tf.convert_to_tensor(labels)
    bias = tf.zeros([0], table.dtype) if bias is None else tf.convert_to_tensor(bias)
    options = {"smoothing": label_smoothing, "z_loss": z_loss, "predicts": with_predictions}
    options["size"] = chunk_rows or max(_MIN_ROWS, _CHUNK_LOGITS // int(table.shape[0]))

    @tf.custom_gradient
    def compute(features, table, bias):
        loss, predictions, *gradients = _add_chunks(features, table, bias, labels, weights, options)

        def differentiate(upstream, _):
            precise = (upstream * tf.cast(one, upstream.dtype) for one in gradients)
            return [tf.cast(one, like.dtype) for one, like in zip(precise, gradients, strict=True)]

        return (loss, predictions), differentiate

    return compute(features, table, bias)


def _add_chunks(features, table, bias, labels, weights, options):
    """The loss, the predictions, and the gradients of features, table and bias."""
    precise = tf.float64 if features.dtype == tf.float64 else tf.float32
    product_table = tf.cast(table, features.dtype)
    rows, size = tf.shape(features)[0], options["size"]
    weights = tf.cast(weights, precise)
    num_chunks = tf.maximum(1, -(-rows // size))
    score = _score_rows
    if features.shape[0] is not None and may_compile():
        score = _compile_score()
        # Compiled, a label outside the vocabulary makes the loss NaN; as an op, it raises.
        labels = _check_labels(labels, int(table.shape[0]))
    options = (options["smoothing"], options["z_loss"], options["predicts"])

    def add_chunk(index, loss, table_grad, bias_grad, parts, predictions):
        chunk = slice(index * size, (index + 1) * size)
        inputs, own_weights = features[chunk], weights[chunk]
        # (C, E), (V, E) -> (C, V)
        logits = tf.matmul(inputs, product_table, transpose_b=True)
        losses, grad, own_bias_grad, best = score(
            logits, bias, labels[chunk], own_weights, *options
        )
        predictions = predictions.write(index, best)
        parts = parts.write(index, tf.matmul(grad, product_table) * _column(own_weights, grad))
        weighted = inputs * _column(own_weights, grad)
        table_grad += tf.cast(tf.matmul(grad, weighted, transpose_a=True), table_grad.dtype)
        bias_grad += own_bias_grad
        loss += tf.reduce_sum(losses * own_weights)
        return index + 1, loss, table_grad, bias_grad, parts, predictions

    def make_array(dtype, shape):
        return tf.TensorArray(dtype, num_chunks, element_shape=shape, infer_shape=False)

    start = (
        tf.constant(0),
        tf.zeros((), precise),
        tf.zeros_like(table),
        tf.zeros_like(bias),
        make_array(features.dtype, [None, features.shape[1]]),
        make_array(tf.int64, [None]),
    )
    _, loss, table_grad, bias_grad, parts, predictions = tf.while_loop(
        lambda index, *_: index < num_chunks, add_chunk, start, parallel_iterations=1
    )
    features_grad = tf.reshape(parts.concat(), tf.shape(features))
    return loss, predictions.concat(), features_grad, table_grad, bias_grad


def _column(weights, like):
    return tf.cast(weights, like.dtype)[:, None]


def _check_labels(labels, vocabulary_size):
    """The labels, int (R,); InvalidArgumentError if one is outside the vocabulary."""
    bad = tf.logical_or(labels < 0, labels >= vocabulary_size)
    message = f"Labels must be at least 0 and less than {vocabulary_size}. Received:"
    check = tf.debugging.Assert(~tf.reduce_any(bad), [message, tf.boolean_mask(labels, bad)])
    with tf.control_dependencies([check]):
        return tf.identity(labels)


@functools.cache
def _compile_score():
    return trace_once(_score_rows, jit_compile=True)


def _score_rows(logits, bias, labels, weights, smoothing, z_loss, predicts):
    """What a chunk of rows adds, from logits without their bias, (C, V).

    Returns:
        losses: float (C,), in at least float32.
        grad: float (C, V). Of the logits, before weights, in their dtype.
        bias_grad: float (V,), or (0,) without a bias.
        predictions: int64 (C,), zeros unless asked for.
    """
    dtype = logits.dtype
    logits = tf.cast(logits, weights.dtype)
    if bias.shape[0] != 0:
        logits += tf.cast(bias, logits.dtype)
    best = tf.zeros(tf.shape(labels), tf.int64)
    if predicts:
        best = tf.argmax(logits, axis=-1)
    # One pass over the logits. As an op it refuses labels outside the vocabulary.
    losses, grad = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
    if smoothing or z_loss:
        log_total = tf.reduce_logsumexp(logits, axis=-1)
        probabilities = tf.exp(logits - log_total[:, None])
        losses = (1 - smoothing) * losses
        losses += smoothing * (log_total - tf.reduce_mean(logits, axis=-1))
        losses += z_loss * tf.square(log_total)
        factor = (smoothing + 2 * z_loss * log_total)[:, None]
        grad = (1 - smoothing) * grad + factor * probabilities
        grad -= smoothing / int(logits.shape[-1])
    bias_grad = tf.zeros_like(bias)
    if bias.shape[0] != 0:
        # (1, C), (C, V) -> (V,)
        bias_grad = tf.cast(tf.linalg.matvec(grad, weights, transpose_a=True), bias.dtype)
    return losses, tf.cast(grad, dtype), bias_grad, best
