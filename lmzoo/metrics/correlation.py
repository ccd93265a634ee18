"""Whether predicted numbers rise with the true ones: the correlations of Pearson and Spearman."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmzoo.metrics.replicas import count_replicas, own_row, to_own_row
from lmzoo.metrics.weights import spread_weights

__all__ = ["PearsonCorrelation", "SpearmanCorrelation"]


@keras.saving.register_keras_serializable(package="lmzoo")
class PearsonCorrelation(keras.metrics.Metric):
    """How nearly the predictions are a straight line over the true numbers.

    It is 1 on a rising line, -1 on a falling one, and 0 without pairs, and where one side is
    constant (SciPy says NaN there).

    Sums of squares would lose a small spread beside a large mean, so counts, means and squared
    distances from the means are kept, in float64, and batches are merged by Chan's rule. Make the
    metric under the scope of the strategy it is used with.

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
        self._num_replicas = count_replicas()
        self.moments = self.add_weight(
            (self._num_replicas, 6), initializer="zeros", dtype="float64", name="moments"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds true numbers (B,) or (B, 1), predictions in the same form, and weights (B,)."""
        true, predicted = to_column(y_true, "y_true"), to_column(y_pred, "y_pred")
        batch = compute_moments(true, predicted, spread_weights(sample_weight, true))
        old = own_row(self.moments)
        change = merge_moments(old, batch) - old
        self.moments.assign_add(to_own_row(change, self._num_replicas))

    def result(self):
        moments = ops.unstack(ops.convert_to_tensor(self.moments), self._num_replicas)
        total = moments[0]
        for other in moments[1:]:
            total = merge_moments(total, other)
        return ops.cast(compute_correlation(total), self.dtype)


@keras.saving.register_keras_serializable(package="lmzoo")
class SpearmanCorrelation(keras.metrics.Metric):
    """How nearly the predictions have the order of the true numbers.

    It is 1 for the same order, -1 for the reverse, and 0 without pairs, and where one side is
    constant (SciPy says NaN there). Equal numbers share the mean of their ranks. Ranks need all
    numbers at once, so all are kept, 16 bytes a pair, and each `result` sorts the whole capacity:
    3 ms for the default one. `fit` asks for a result at every step.

    Make the metric under the scope of the strategy it is used with.

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
        self._num_replicas = count_replicas()
        shape = (self._num_replicas, capacity, 2)
        self.pairs = self.add_weight(shape, initializer="zeros", dtype="float64", name="pairs")
        self.counts = self.add_weight(
            (self._num_replicas,), initializer="zeros", dtype="int32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds true numbers (B,) or (B, 1), predictions in the same form, and a mask (B,).

        What the mask has 0 for is left out; its other values count alike.
        """
        true, predicted = to_column(y_true, "y_true"), to_column(y_pred, "y_pred")
        mask = spread_weights(sample_weight, true) != 0
        count = own_row(self.counts)
        places = count + ops.cumsum(ops.cast(mask, "int32")) - 1
        fits = ops.logical_and(mask, places < self.capacity)
        # What is not kept is added as 0, which changes nothing at any place.
        pairs = ops.where(fits[:, None], ops.stack([true, predicted], axis=-1), 0.0)
        places = ops.expand_dims(ops.clip(places, 0, self.capacity - 1), -1)
        kept = ops.scatter(places, pairs, (self.capacity, 2))
        self.pairs.assign_add(to_own_row(kept, self._num_replicas))
        new = ops.sum(ops.cast(mask, "int32"))
        self.counts.assign_add(to_own_row(new, self._num_replicas))

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
    """The ranks of those numbers (N,) that are kept, from 1; equal ones share their mean."""
    # What is not kept goes behind the last number, were that infinite.
    largest = np.finfo("float64").max
    keys = ops.where(is_kept, ops.clip(values, -largest, largest), float("inf"))
    order = ops.argsort(keys)
    ordered = ops.take(keys, order)
    # Equal numbers are a group. (Looking each number up by `searchsorted` is, under XLA, slower.)
    groups = ops.cumsum(ops.cast(ordered != ops.roll(ordered, 1), "int32"))
    size = values.shape[0]
    places = ops.arange(1, size + 1, dtype="float64")
    sums = ops.segment_sum(places, groups, num_segments=size + 1)
    counts = ops.segment_sum(ops.ones_like(places), groups, num_segments=size + 1)
    means = ops.take(ops.divide_no_nan(sums, counts), groups)
    return ops.scatter(ops.expand_dims(order, -1), means, (size,))


def compute_moments(one, other, weights):
    """Count, two means, two sums of squares and the sum of products about them, float64 (6,)."""
    count = ops.sum(weights)
    # What does not count may be anything, NaN too.
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
    # The mean of equal numbers is rounded, so they stand beside it by some 1e-16 of it. NaN
    # is not below, and so stays to be seen.
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
