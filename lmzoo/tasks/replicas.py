"""One mean of the loss over all replicas and batches, weighted by the number of terms.

Keras averages the means of the replicas, and the means of batches weighted by rows. Tokens of a
replica or batch with few tokens would then weigh more than others.
"""

import keras
import tensorflow as tf

__all__ = ["LossTracker", "count_terms", "sum_over_replicas"]


def count_terms(loss, y, sample_weight):
    """The number of terms that a loss averages over in the batch of one replica.

    Args:
        loss: the loss that the model was compiled with.
        y: labels of this replica, tensor or structure, with B rows.
        sample_weight: weights of this replica, tensor or structure, or None.
    Returns:
        float32 scalar tensor: the sum of all weights, or B for a loss that averages over rows. None
        for a loss that is not a mean.
    """
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if loss is None or reduction in ("sum", "none", None):
        return None
    if reduction != "mean_with_sample_weight":
        return tf.cast(tf.shape(tf.nest.flatten(y)[0])[0], tf.float32)
    if sample_weight is None:
        return tf.add_n([tf.cast(tf.size(labels), tf.float32) for labels in tf.nest.flatten(y)])
    return tf.add_n(
        [tf.reduce_sum(tf.cast(weight, tf.float32)) for weight in tf.nest.flatten(sample_weight)]
    )


def sum_over_replicas(value):
    """Adds up a scalar tensor over the replicas of a strategy.

    Returns:
        The sum, and R, the number of replicas; `value` and 1 outside of replicas.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value), context.num_replicas_in_sync


class LossTracker(keras.metrics.Mean):
    """The mean loss over batches, each weighted by the number of terms its loss is a mean of.

    Keras calls `update_state` with the number of rows as the weight. A `set_next_weight` before it
    replaces that weight once.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._next_weight = None

    def set_next_weight(self, weight):
        """Sets the weight of the next value: float scalar tensor."""
        self._next_weight = weight

    def update_state(self, values, sample_weight=None):
        if self._next_weight is not None:
            # Used once: in a graph it is a tensor of this step alone.
            sample_weight, self._next_weight = self._next_weight, None
        super().update_state(values, sample_weight)
