"""Rates against the formula of the paper."""

import math

import numpy as np
import pytest

from lmzoo.data import compute_rates


def test_rates_are_those_of_the_paper():
    # Section 3.5.2: min(e, K) / sum of min(e, K), to the power of 1 / T, made to sum to 1.
    sizes = {"a": 100, "b": 5_000, "c": 3_000_000}
    for cap in (None, 100, 2**12, 2**21):
        for temperature in (1.0, 2.0, 4.0, 8.0):
            capped = np.array([min(size, cap or math.inf) for size in sizes.values()])
            wanted = (capped / capped.sum()) ** (1 / temperature)
            wanted /= wanted.sum()
            found = compute_rates(sizes, cap, temperature)
            assert list(found) == list(sizes)
            np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-12)


def test_the_limits_of_temperature_are_in_proportion_and_equal():
    sizes = {"a": 10, "b": 90, "c": 900}
    in_proportion = compute_rates(sizes, temperature=1.0)
    assert in_proportion == pytest.approx({"a": 0.01, "b": 0.09, "c": 0.9})
    assert compute_rates(sizes, temperature=1e9) == pytest.approx(dict.fromkeys(sizes, 1 / 3))
    assert compute_rates(sizes, cap=1) == pytest.approx(dict.fromkeys(sizes, 1 / 3))


def test_rates_of_no_task_are_refused():
    with pytest.raises(ValueError, match=r"Received: rates=\{\}"):
        compute_rates({})
