"""Pearson and Spearman correlation of predicted and true numbers."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmzoo.metrics.weights import spread_weights

__all__ = ["PearsonCorrelation", "SpearmanCorrelation"]


@keras.saving.register_keras_serializable(package="lmzoo")
class PearsonCorrelation(keras.metrics.Metric):
    """Pearson correlation: how close predictions and true numbers are to a linear relation.

    It is between -1 and 1. It is 0 if there are no pairs or one side is constant, where SciPy
    gives NaN.

    The state is the count, the means and the sums of squared deviations, in float64. Batches are
    merged by Chan's formula, because plain sums of squares lose precision beside a large mean.
    Create the metric under the scope of the strategy it is used with.

    Args:
        name: str. The metric's name.
        dtype: str or None. What `result` gives.

    Example:
        >>> metric = PearsonCorrelation()
        >>> metric.update_state([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])
        >>> round(float(metric.result()), 6)
        1.0

    Reference: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance";
        `pearsonr` of SciPy.
    """

    # Keras reads it where a callback's mode is "auto".
    _direction = "up"

    def __init__(self, name="pearson_correlation", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._num_replicas = _count_replicas()
        self.moments = self.add_weight(
            (self._num_replicas, 6), initializer="zeros", dtype="float64", name="moments"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: float (B,) or (B, 1).
            y_pred: float, the same shape.
            sample_weight: float (B,) or None.
        """
        true, predicted = to_column(y_true, "y_true"), to_column(y_pred, "y_pred")
        batch = compute_moments(true, predicted, spread_weights(sample_weight, true))
        old = _own_row(self.moments)
        change = merge_moments(old, batch) - old
        self.moments.assign_add(_to_own_row(change, self._num_replicas))

    def result(self):
        moments = ops.unstack(ops.convert_to_tensor(self.moments), self._num_replicas)
        total = moments[0]
        for other in moments[1:]:
            total = merge_moments(total, other)
        return ops.cast(compute_correlation(total), self.dtype)


@keras.saving.register_keras_serializable(package="lmzoo")
class SpearmanCorrelation(keras.metrics.Metric):
    """Spearman rank correlation of predictions and true numbers.

    It is 1 for the same order and -1 for the reverse. It is 0 if there are no pairs or one side is
    constant, where SciPy gives NaN. Equal numbers get the mean of their ranks.

    Ranks need all numbers at once, so every pair is kept, 16 bytes each. `result` sorts the whole
    capacity, which takes 3 ms for the default one; `fit` asks for a result at every step. Create
    the metric under the scope of the strategy it is used with.

    Args:
        capacity: int. Pairs that each replica can keep.
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the pairs are float64.
    Raises:
        TypeError: if `capacity` is not an int.
        ValueError: if `capacity` is not positive; from `result`, if a replica was given more
            pairs. In a graph nothing can be raised and the result is NaN, so that `fit` and
            `evaluate` show NaN, and raise at the end.

    Example:
        >>> metric = SpearmanCorrelation(capacity=100)
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 10.0, 100.0])
        >>> float(metric.result())
        1.0

    Reference: Spearman 1904, "The proof and measurement of association between two things";
        `spearmanr` of SciPy.
    """

    _direction = "up"

    def __init__(self, capacity=16384, name="spearman_correlation", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if isinstance(capacity, bool) or not isinstance(capacity, int):
            raise TypeError(f"`capacity` must be an int. Received: capacity={capacity!r}.")
        if capacity < 1:
            raise ValueError(f"`capacity` must be positive. Received: capacity={capacity}.")
        self.capacity = capacity
        self._num_replicas = _count_replicas()
        shape = (self._num_replicas, capacity, 2)
        self.pairs = self.add_weight(shape, initializer="zeros", dtype="float64", name="pairs")
        self.counts = self.add_weight(
            (self._num_replicas,), initializer="zeros", dtype="int32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: float (B,) or (B, 1).
            y_pred: float, the same shape.
            sample_weight: (B,) or None. A mask: pairs with 0 are left out, all others count alike.
        """
        true, predicted = to_column(y_true, "y_true"), to_column(y_pred, "y_pred")
        mask = spread_weights(sample_weight, true) != 0
        count = _own_row(self.counts)
        positions = count + ops.cumsum(ops.cast(mask, "int32")) - 1
        fits = ops.logical_and(mask, positions < self.capacity)
        # Pairs that are not kept are added as 0, which changes nothing.
        pairs = ops.where(fits[:, None], ops.stack([true, predicted], axis=-1), 0.0)
        positions = ops.expand_dims(ops.clip(positions, 0, self.capacity - 1), -1)
        kept = ops.scatter(positions, pairs, (self.capacity, 2))
        self.pairs.assign_add(_to_own_row(kept, self._num_replicas))
        new = ops.sum(ops.cast(mask, "int32"))
        self.counts.assign_add(_to_own_row(new, self._num_replicas))

    def result(self):
        counts = ops.expand_dims(ops.convert_to_tensor(self.counts), -1)
        largest = ops.max(counts)
        if tf.executing_eagerly() and largest > self.capacity:
            raise ValueError(
                "`capacity` must hold all pairs of a replica. Received: "
                f"capacity={self.capacity}, {int(largest)} pairs."
            )
        # (R, capacity, 2) -> (R * capacity, 2)
        pairs = ops.reshape(self.pairs, (-1, 2))
        is_kept = ops.reshape(ops.arange(self.capacity, dtype="int32") < counts, (-1,))
        true, predicted = rank(pairs[:, 0], is_kept), rank(pairs[:, 1], is_kept)
        weights = ops.cast(is_kept, "float64")
        correlation = compute_correlation(compute_moments(true, predicted, weights))
        has_nan = ops.any(ops.isnan(pairs))
        is_wrong = ops.logical_or(has_nan, largest > self.capacity)
        return ops.cast(ops.where(is_wrong, float("nan"), correlation), self.dtype)

    def get_config(self):
        return {**super().get_config(), "capacity": self.capacity}


def rank(values, is_kept):
    """The ranks, from 1, of those numbers (N,) that are kept; equal ones get their mean rank."""
    # What is not kept sorts after the largest number, even if that is infinite.
    largest = np.finfo("float64").max
    keys = ops.where(is_kept, ops.clip(values, -largest, largest), float("inf"))
    order = ops.argsort(keys)
    ordered = ops.take(keys, order)
    # Equal numbers are a group. (Looking each number up by `searchsorted` is, under XLA, slower.)
    groups = ops.cumsum(ops.cast(ordered != ops.roll(ordered, 1), "int32"))
    size = values.shape[0]
    ranks = ops.arange(1, size + 1, dtype="float64")
    sums = ops.segment_sum(ranks, groups, num_segments=size + 1)
    counts = ops.segment_sum(ops.ones_like(ranks), groups, num_segments=size + 1)
    means = ops.take(ops.divide_no_nan(sums, counts), groups)
    return ops.scatter(ops.expand_dims(order, -1), means, (size,))


def compute_moments(one, other, weights):
    """Count, two means, two sums of squares and the sum of products about them, float64 (6,)."""
    count = ops.sum(weights)
    # Values with weight 0 may be NaN.
    one, other = ops.where(weights != 0, one, 0.0), ops.where(weights != 0, other, 0.0)
    mean = ops.divide_no_nan(ops.sum(weights * one), count)
    other_mean = ops.divide_no_nan(ops.sum(weights * other), count)
    one, other = one - mean, other - other_mean
    products = [ops.sum(weights * x * y) for x, y in ((one, one), (other, other), (one, other))]
    return ops.stack([count, mean, other_mean, *products])


def merge_moments(first, second):
    """The moments of two groups together, from the moments (6,) of each."""
    count = first[0] + second[0]
    share = ops.divide_no_nan(second[0], count)
    step, other_step = second[1] - first[1], second[2] - first[2]
    spread = first[0] * share
    return ops.stack(
        [
            count,
            first[1] + step * share,
            first[2] + other_step * share,
            first[3] + second[3] + step * step * spread,
            first[4] + second[4] + other_step * other_step * spread,
            first[5] + second[5] + step * other_step * spread,
        ]
    )


def compute_correlation(moments):
    """Pearson's correlation from moments (6,); 0 where one side does not vary."""
    count, mean, other_mean, square, other_square, product = ops.unstack(moments, 6)
    varies = ops.logical_and(_varies(count, mean, square), _varies(count, other_mean, other_square))
    scale = ops.sqrt(square) * ops.sqrt(other_square)
    correlation = ops.clip(ops.divide_no_nan(product, scale), -1.0, 1.0)
    return ops.where(varies, correlation, 0.0)


def _varies(count, mean, square):
    # The mean of equal numbers is rounded, so they deviate from it by some 1e-16 of it. NaN is
    # not below the bound, so it stays visible in the result.
    return ops.logical_not(ops.sqrt(square) <= 1e-13 * ops.sqrt(count) * ops.abs(mean))


def to_column(values, name):
    """Numbers (B,) or (B, 1) as float64 (B,); raises ValueError for another shape."""
    values = ops.cast(values, "float64")
    if len(values.shape) == 2 and values.shape[1] == 1:
        values = ops.squeeze(values, 1)
    if len(values.shape) != 1:
        raise ValueError(
            f"`{name}` must be (B,) or (B, 1). Received: {name}.shape={tuple(values.shape)}."
        )
    return values


# A metric's variables on the replicas are added up when they are read. The state here is more than
# a sum, so a variable has one row for each replica, and a replica writes to its own row only.


def _count_replicas():
    """int. R, the replicas of the strategy under whose scope this runs; 1 without one."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def _own_row(rows):
    """The row of `rows` (R, ...) that belongs to the replica which asks."""
    return ops.take(rows, _replica(), axis=0)


def _to_own_row(values, num_replicas):
    """`values` (...) as the row of the replica which asks; (R, ...), the other rows 0."""
    is_own = ops.equal(ops.arange(num_replicas, dtype="int32"), _replica())
    is_own = ops.reshape(is_own, (num_replicas, *[1] * len(values.shape)))
    return ops.where(is_own, ops.expand_dims(values, 0), ops.zeros_like(values))


def _replica():
    context = tf.distribute.get_replica_context()
    # Outside of all replicas TensorFlow itself refuses the `assign_add` that follows.
    return 0 if context is None else ops.cast(context.replica_id_in_sync_group, "int32")
