"""Correlations against SciPy and against their definitions in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.metrics import PearsonCorrelation, SpearmanCorrelation


def pearson(one, other, weights=None):
    weights = np.ones(len(one)) if weights is None else weights
    covariance = np.cov(one, other, aweights=weights)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def spearman(one, other):
    """Pearson over ranks: of each number, how many are below it and half of its equals."""

    def rank(values):
        below = (values[:, None] > values).sum(1)
        return below + (values[:, None] == values).sum(1) / 2

    return pearson(rank(one), rank(other))


def measure(metric, one, other, weights=None, size=7):
    for start in range(0, len(one), size):
        part = slice(start, start + size)
        batch = (one[part], other[part], None if weights is None else weights[part])
        metric.update_state(*batch)
    return float(metric.result())


@pytest.mark.parametrize("index", range(3), ids=["real", "tied", "far from zero"])
def test_random_numbers_have_the_correlations_of_scipy(golden, index):
    case = golden["correlations"][index]
    pair = (np.array(case["true"]), np.array(case["predicted"]))
    metrics = {"pearson": PearsonCorrelation(dtype="float64")}
    metrics["spearman"] = SpearmanCorrelation(capacity=120, dtype="float64")
    for name, metric in metrics.items():
        assert measure(metric, *pair) == pytest.approx(case[name], rel=1e-9), name


def test_a_small_spread_beside_a_large_mean_is_kept():
    # In float64, sums of squares would have no correct digit left here.
    one = 1e8 + np.arange(100.0) % 17
    other = -1e8 + np.arange(100.0) % 13
    squares = np.sum(one**2) - np.sum(one) ** 2 / 100
    assert squares != pytest.approx(100 * np.var(one), rel=1e-3)
    metric = PearsonCorrelation(dtype="float64")
    assert measure(metric, one, other) == pytest.approx(pearson(one, other), rel=1e-9)


def test_weights_weigh_pairs_and_a_mask_leaves_them_out():
    generator = np.random.default_rng(0)
    one, other, weights = generator.normal(size=(3, 50))
    weights = np.abs(weights)
    metric = PearsonCorrelation(dtype="float64")
    assert measure(metric, one, other, weights) == pytest.approx(pearson(one, other, weights))
    mask = generator.random(50) < 0.6
    metric = SpearmanCorrelation(capacity=50, dtype="float64")
    wanted = spearman(one[mask], other[mask])
    masked = (np.where(mask, one, np.nan), np.where(mask, other, np.inf), mask)
    assert measure(metric, *masked) == pytest.approx(wanted)
    assert int(metric.counts[0]) == mask.sum()


def test_infinite_numbers_have_ranks_and_nan_is_seen():
    one = np.array([np.inf, 1.0, 2.0, -np.inf, np.inf])
    other = np.array([3.0, 5.0, 1.0, 0.0, 8.0])
    metric = SpearmanCorrelation(capacity=9, dtype="float64")
    assert measure(metric, one, other) == pytest.approx(spearman(one, other))
    for metric in (PearsonCorrelation(), SpearmanCorrelation(capacity=9)):
        assert np.isnan(measure(metric, np.array([1.0, np.nan, 2.0]), np.arange(3.0)))


@pytest.mark.parametrize("make", [PearsonCorrelation, SpearmanCorrelation])
def test_a_constant_side_and_a_single_pair_give_zero(make):
    # The means of these are rounded, and so a little beside the numbers.
    assert measure(make(), np.full(30, 0.3), np.arange(30.0)) == 0.0
    assert measure(make(), np.arange(30.0), np.full(30, 7.7)) == 0.0
    assert measure(make(), np.array([2.0]), np.array([3.0])) == 0.0


def test_more_pairs_than_the_capacity_are_an_error_and_in_a_graph_nan():
    metric = SpearmanCorrelation(capacity=10)
    numbers = np.arange(11.0)
    assert measure(metric, numbers[:10], numbers[:10]) == 1.0
    metric.update_state(numbers[10:], numbers[10:])
    with pytest.raises(ValueError, match="capacity=10, 11 pairs"):
        metric.result()
    result = tf.function(metric.result, jit_compile=True)
    assert np.isnan(result())
    metric.reset_state()
    assert measure(metric, numbers[:10], -numbers[:10]) == result() == -1.0


def test_evaluate_does_not_hide_that_the_capacity_was_too_small():
    model = keras.Sequential([keras.layers.Dense(1)])
    metrics = [SpearmanCorrelation(capacity=5)]
    model.compile(None, "mse", weighted_metrics=metrics, jit_compile=False)
    with pytest.raises(ValueError, match="capacity=5, 8 pairs"):
        model.evaluate(np.ones((8, 1)), np.ones(8), verbose=0)


@pytest.mark.parametrize("make", [PearsonCorrelation, SpearmanCorrelation])
def test_columns_are_numbers_and_other_shapes_are_refused(make):
    numbers = np.array([1.0, 3.0, 2.0])
    metric, column = make(), make()
    metric.update_state(numbers, numbers**2)
    column.update_state(numbers[:, None], numbers[:, None] ** 2, np.ones((3, 1)))
    assert float(metric.result()) == float(column.result())
    with pytest.raises(ValueError, match=r"`y_pred` must .* y_pred.shape=\(3, 2\)"):
        metric.update_state(numbers, np.ones((3, 2)))


def test_capacities_that_are_none_are_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        SpearmanCorrelation(capacity=0)
    with pytest.raises(TypeError, match="capacity=1.5"):
        SpearmanCorrelation(capacity=1.5)
