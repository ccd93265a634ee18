"""Metrics that add up over batches and replicas."""

import keras
from keras import ops

__all__ = ["Perplexity"]


@keras.saving.register_keras_serializable(package="lmzoo")
class Perplexity(keras.metrics.Metric):
    """How many equally likely tokens the model hesitates between: exp of the mean cross-entropy.

    The mean is over all tokens of all batches, each weighted by its sample weight.

    Reference: Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition
        tasks".
    """

    def __init__(self, name="perplexity", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds labels int (B, T), logits float (B, T, V) and weights (B, T), (B,) or None."""
        losses = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        losses = ops.cast(losses, self.dtype)
        weights = ops.ones_like(losses)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, self.dtype)
            if len(sample_weight.shape) < len(losses.shape):
                sample_weight = ops.expand_dims(sample_weight, -1)
            weights = weights * sample_weight
        self.total.assign_add(ops.sum(losses * weights))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return ops.exp(ops.divide_no_nan(self.total, self.count))
