"""Perplexity of a language model."""

import keras
from keras import ops

from lmzoo.metrics.weights import spread_weights

__all__ = ["Perplexity"]


@keras.saving.register_keras_serializable(package="lmzoo")
class Perplexity(keras.metrics.Metric):
    """Perplexity: exp of the mean cross-entropy of the tokens, in nats.

    The mean is over all tokens of all batches, each weighted by its sample weight. Without any
    token it is exp(0) = 1.

    Args:
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the sums are float64.

    Reference: Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition
        tasks".
    """

    # Keras reads it where a callback's mode is "auto".
    _direction = "down"

    def __init__(self, name="perplexity", dtype=None):
        super().__init__(name=name, dtype=dtype)
        # float32 cannot count beyond 16.7 million tokens.
        self.total = self.add_weight(name="total", initializer="zeros", dtype="float64")
        self.count = self.add_weight(name="count", initializer="zeros", dtype="float64")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: int (B, T). Token ids.
            y_pred: float (B, T, V). Logits.
            sample_weight: (B, T), (B,) or None. 0 leaves a token out.
        """
        y_true = ops.cast(y_true, "int32")
        weights = spread_weights(sample_weight, y_true)
        # Labels with weight 0 may be out of range, such as -100.
        labels = ops.where(weights != 0, y_true, ops.zeros_like(y_true))
        logits = ops.cast(y_pred, "float32")
        losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        losses = ops.where(weights != 0, ops.cast(losses, "float64"), 0.0)
        self.total.assign_add(ops.sum(losses * weights))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return ops.cast(ops.exp(ops.divide_no_nan(self.total, self.count)), self.dtype)
