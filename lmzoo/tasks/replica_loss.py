"""One mean over all replicas: each counts by what it averages over, not as one among equals."""

import keras
import tensorflow as tf

__all__ = ["LossTracker", "replica_share"]


def replica_share(loss, y, sample_weight):
    """What the loss of a replica is multiplied by, for Keras to reach the mean of the whole batch.

    Keras takes the mean of the replicas' means, in which a token counts for more on a replica that
    has few of them.

    Args:
        loss: what a model was compiled with.
        y: labels of this replica, tensor or structure, with B rows.
        sample_weight: weights of this replica, tensor or structure, or None.
    Returns:
        float32 scalar tensor: R times the replica's share of all weights, or of all rows if the
        loss is averaged over rows; 1.0 outside of replicas, and for a loss that is no mean.
    """
    context = tf.distribute.get_replica_context()
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if context is None or context.num_replicas_in_sync == 1 or reduction in ("sum", "none", None):
        return tf.constant(1.0)
    if reduction == "mean_with_sample_weight":
        counted = y if sample_weight is None else sample_weight
        sizes = [_total(value, sample_weight is None) for value in tf.nest.flatten(counted)]
        own = tf.add_n(sizes)
    else:
        own = tf.cast(tf.shape(tf.nest.flatten(y)[0])[0], tf.float32)
    own = tf.stop_gradient(own)
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
    return context.num_replicas_in_sync * tf.math.divide_no_nan(own, total)


def _total(value, each_counts_once):
    if each_counts_once:
        return tf.cast(tf.size(value), tf.float32)
    return tf.reduce_sum(tf.cast(value, tf.float32))


class LossTracker(keras.metrics.Mean):
    """The mean loss over batches, each weighed by its rows on all replicas.

    What a replica reports is multiplied by `replica_share` already, so all count the same.
    """

    def update_state(self, values, sample_weight=None):
        context = tf.distribute.get_replica_context()
        if sample_weight is not None and context is not None and context.num_replicas_in_sync > 1:
            rows = tf.cast(sample_weight, self.dtype)
            sample_weight = context.all_reduce(tf.distribute.ReduceOp.MEAN, rows)
        super().update_state(values, sample_weight)
