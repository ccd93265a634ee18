"""The bootstrap beside formulas that are known, and how often its intervals hold the truth."""

import numpy as np
import pytest

from lmzoo.evaluation.resampling import check_resampling, find_interval, find_p_value, resample


def mean_of(values):
    values = np.asarray(values, "float64")
    return lambda weights: weights @ values / weights.sum()


def test_resamples_of_a_mean_spread_by_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)
    (means,) = resample([mean_of(values)], 400, 4000, seed=1).T
    assert means.mean() == pytest.approx(values.mean(), abs=4e-3)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_the_same_seed_draws_the_same_rows_for_every_statistic():
    one, other = mean_of([0, 1, 5]), mean_of([1, 2, 6])
    both = resample([one, other], 3, 50, seed=2)
    np.testing.assert_allclose(both[:, 1] - both[:, 0], 1.0)
    np.testing.assert_array_equal(resample([other], 3, 50, seed=2)[:, 0], both[:, 1])
    assert (resample([one], 3, 50, seed=3)[:, 0] != both[:, 0]).any()


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    generator, held = np.random.default_rng(4), 0
    for seed in range(200):
        rows = generator.random(60) < 0.7
        low, high = find_interval(resample([mean_of(rows)], 60, 200, seed)[:, 0], 0.9)
        held += low <= 0.7 <= high
    # 200 draws of a binomial with 0.9: a deviation of 0.02, and discrete ends.
    assert 0.83 <= held / 200 <= 0.97


def test_p_values_of_equal_models_are_spread_evenly():
    generator, small = np.random.default_rng(5), 0
    for seed in range(300):
        differences = generator.normal(size=50)
        values = resample([mean_of(differences)], 50, 100, seed)[:, 0]
        small += find_p_value(values, differences.mean()) <= 0.2
    # A deviation of 0.023.
    assert 0.13 <= small / 300 <= 0.29


def test_no_difference_is_no_evidence_and_a_constant_one_is():
    assert find_p_value(np.zeros(99), 0.0) == 1.0
    assert find_p_value(np.full(99, 0.5), 0.5) == 0.01


def test_numbers_that_give_no_interval_are_refused():
    with pytest.raises(ValueError, match="num_resamples=0"):
        check_resampling(0, 0.95)
    with pytest.raises(ValueError, match="confidence=1.0"):
        check_resampling(10, 1.0)
