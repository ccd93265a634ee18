"""A place for each replica, where the state of a metric is more than a sum.

The replicas' variables of a metric are added up when they are read. A variable with a row for each
replica, of which a replica writes its own alone, is then all rows one below the other.
"""

import tensorflow as tf
from keras import ops

__all__ = ["count_replicas", "own_row", "to_own_row"]


def count_replicas():
    """int. R, the replicas of the strategy under whose scope this runs; 1 without one."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def own_row(rows):
    """The row of `rows` (R, ...) that belongs to the replica which asks."""
    return ops.take(rows, _replica(), axis=0)


def to_own_row(values, num_replicas):
    """`values` (...) as the row of the replica which asks; (R, ...), the other rows 0."""
    is_own = ops.equal(ops.arange(num_replicas, dtype="int32"), _replica())
    is_own = ops.reshape(is_own, (num_replicas, *[1] * len(values.shape)))
    return ops.where(is_own, ops.expand_dims(values, 0), ops.zeros_like(values))


def _replica():
    context = tf.distribute.get_replica_context()
    # Outside of all replicas TensorFlow itself refuses the `assign_add` that follows.
    return 0 if context is None else ops.cast(context.replica_id_in_sync_group, "int32")
