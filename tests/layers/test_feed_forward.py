"""The feed-forward layer against its formula."""

import numpy as np
import pytest

from lmzoo.layers import FeedForward
from tests.layers import reference


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "silu", "relu"])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_feed_forward_is_the_formula(activation, gated, use_bias):
    layer = FeedForward(12, activation, gated, use_bias, dtype="float64")
    layer.build((None, None, 8))
    weights = reference.weights_of(reference.randomise(layer))
    assert len(weights) == (2 + gated) * (1 + use_bias)
    hidden = np.random.default_rng(6).normal(size=(2, 3, 8))
    expected = reference.feed_forward(hidden, weights, activation)
    np.testing.assert_allclose(layer(hidden), expected, rtol=0, atol=1e-12)


def test_the_two_gelus_differ():
    hidden = np.random.default_rng(6).normal(size=(2, 3, 8))
    exact, tanh = (
        reference.randomise(_built(FeedForward(12, name, dtype="float64")))(hidden)
        for name in ("gelu", "gelu_tanh")
    )
    assert 1e-6 < np.abs(exact - tanh).max() < 1e-2


@pytest.mark.parametrize("options", [{}, {"gated": True}, {"gated": True, "float32_output": True}])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_dropout_acts_in_the_middle_and_in_training_alone(policy, options):
    layer = FeedForward(8, "relu", use_bias=False, dropout=0.5, dtype=policy, **options)
    hidden = np.random.default_rng(6).normal(size=(5, 20, 8))
    layer.build(hidden.shape)
    layer.output_dense.kernel.assign(np.eye(8))
    plain, dropped = (np.array(layer(hidden, training=x), "float32") for x in (False, True))
    np.testing.assert_array_equal(plain, np.array(layer(hidden), "float32"))
    # What comes through the last projection, here the identity, is the middle itself.
    alive = plain != 0
    kept = dropped[alive] != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_array_equal(dropped[alive][kept], 2 * plain[alive][kept])


def _built(layer):
    layer.build((None, None, 8))
    return layer


@pytest.mark.parametrize("activation", ["gleu", "", None, len])
def test_an_unknown_activation_is_refused(activation):
    with pytest.raises(
        ValueError, match="must be 'gelu_tanh' or .* Received: activation="
    ) as caught:
        FeedForward(4, activation=activation)
    assert repr(activation) in str(caught.value)
