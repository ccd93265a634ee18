"""The norms against their papers, and where half precision would overflow."""

import numpy as np
import pytest

from lmzoo.layers.norms import make_norm
from tests.layers import reference

KINDS = ("layer_norm", "rms_norm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 0.1])
def test_a_norm_is_the_formula(kind, epsilon):
    layer = make_norm(kind, epsilon, "norm", "float64")
    layer.build((None, None, 8))
    weights = {f"norm/{k}": x for k, x in reference.weights_of(reference.randomise(layer)).items()}
    hidden = np.random.default_rng(3).normal(size=(2, 3, 8))
    expected = reference.norm(hidden, weights, "norm", kind, epsilon)
    np.testing.assert_allclose(layer(hidden), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_large_half_precision_values_stay_finite(kind, policy):
    # The square of 3000 is beyond float16.
    values = np.array([[3000.0, -3000.0, 1000.0, 0.0]])
    layer = make_norm(kind, 1e-5, "norm", policy)
    expected = make_norm(kind, 1e-5, "norm", "float32")(values)
    normed = np.asarray(layer(values), "float32")
    assert layer(values).dtype == layer.compute_dtype
    np.testing.assert_allclose(normed, expected, rtol=1e-2)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="norm='batch_norm'"):
        make_norm("batch_norm", 1e-5, "norm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsilon", [0.0, -1e-5])
def test_an_epsilon_that_is_not_positive_is_refused(kind, epsilon):
    with pytest.raises(ValueError, match=f"epsilon={epsilon}"):
        make_norm(kind, epsilon, "norm")
