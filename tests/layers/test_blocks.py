"""The transformer block against its formula: pre-norm, post-norm, with a context, with a cache."""

import numpy as np
import pytest

from lmzoo.layers import TransformerBlock, make_causal_mask
from tests.layers import reference

RANDOM = np.random.default_rng(7)
HIDDEN, CONTEXT = RANDOM.normal(size=(3, 5, 8)), RANDOM.normal(size=(3, 7, 6))
MASK, CONTEXT_MASK = RANDOM.random((3, 5, 5)) < 0.6, RANDOM.random((3, 1, 7)) < 0.6


def make_block(**options):
    block = TransformerBlock(4, 12, num_key_value_heads=2, dtype="float64", **options)
    block.build(HIDDEN.shape, CONTEXT.shape)
    return reference.randomise(block), reference.weights_of(block)


def expect(weights, norm, norm_first, activation, cross, rotary, scale=None):
    x = HIDDEN
    attended = {
        "self_attention": lambda x: reference.self_attention(
            x,
            weights,
            4,
            2,
            MASK,
            scale=scale,
            positions=np.arange(5) if rotary else None,
            name="self_attention/",
        ),
        "cross_attention": lambda x: reference.cross_attention(
            x, CONTEXT, weights, 4, 2, CONTEXT_MASK, "cross_attention/"
        ),
        "feed_forward": lambda x: reference.feed_forward(x, weights, activation, "feed_forward/"),
    }
    for name, compute in attended.items():
        if name == "cross_attention" and not cross:
            continue

        def normalise(x, name=name):
            return reference.norm(x, weights, f"{name}_norm", norm, 1e-5)

        x = x + compute(normalise(x)) if norm_first else normalise(x + compute(x))
    return x


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("cross", [True, False])
def test_a_block_is_the_formula(norm, norm_first, cross):
    block, weights = make_block(
        norm=norm, norm_first=norm_first, cross_attention=cross, activation="relu"
    )
    context = {"context": CONTEXT, "context_mask": CONTEXT_MASK} if cross else {}
    ours = block(HIDDEN, attention_mask=MASK, **context)
    expected = expect(weights, norm, norm_first, "relu", cross, rotary=False)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-11)


def test_a_block_may_lack_biases_and_its_first_norm():
    block, weights = make_block(use_norm_bias=False, use_attention_norm=False, activation="relu")
    assert not any(path.endswith("beta") or "attention_norm" in path for path in weights)
    attention = reference.self_attention(HIDDEN, weights, 4, 2, MASK, name="self_attention/")
    hidden = HIDDEN + attention
    entering = reference.norm(hidden, weights, "feed_forward_norm", "layer_norm", 1e-5)
    expected = hidden + reference.feed_forward(entering, weights, "relu", "feed_forward/")
    np.testing.assert_allclose(block(HIDDEN, attention_mask=MASK), expected, rtol=0, atol=1e-11)


def test_a_post_norm_block_has_all_its_norms():
    with pytest.raises(ValueError, match="use_attention_norm=False, norm_first=False"):
        TransformerBlock(4, 12, norm_first=False, use_attention_norm=False)


def test_a_llama_block_is_the_formula():
    block, weights = make_block(
        norm="rms_norm", rotary=True, gated=True, activation="silu", use_bias=False, scale=0.5
    )
    assert not any(path.endswith("bias") for path in weights)
    ours = block(HIDDEN, attention_mask=MASK)
    expected = expect(weights, "rms_norm", True, "silu", cross=False, rotary=True, scale=0.5)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("use_attention_bias", [True, False, None])
@pytest.mark.parametrize("use_bias", [True, False])
def test_the_attention_bias_is_that_of_query_key_and_value_alone(use_bias, use_attention_bias):
    _, weights = make_block(
        use_bias=use_bias, use_attention_bias=use_attention_bias, cross_attention=True
    )
    expected = use_bias if use_attention_bias is None else use_attention_bias
    for name in ("self_attention/query_key_value", "cross_attention/query"):
        assert (f"{name}/bias" in weights) == expected
    for name in ("self_attention/output", "feed_forward/intermediate", "feed_forward/output"):
        assert (f"{name}/bias" in weights) == use_bias


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("cached", [False, True])
def test_a_block_hands_out_the_weights_of_its_self_attention(norm_first, cached):
    block, weights = make_block(norm_first=norm_first, cross_attention=True)
    cache = block.make_cache(3, 5) if cached else None
    inputs = {"attention_mask": MASK, "context": CONTEXT, "cache": cache}
    output, *caches, ours = block(HIDDEN, return_weights=True, **inputs)
    assert len(caches) == cached
    entering = HIDDEN
    if norm_first:
        entering = reference.norm(HIDDEN, weights, "self_attention_norm", "layer_norm", 1e-5)
    _, expected = reference.self_attention(
        entering, weights, 4, 2, MASK, name="self_attention/", return_weights=True
    )
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
    plain = block(HIDDEN, **inputs)
    np.testing.assert_array_equal(output, plain[0] if cached else plain)


@pytest.mark.parametrize("pieces", [[5], [2, 3], [1] * 5])
def test_a_cached_block_is_the_uncached_one(pieces):
    block, _ = make_block(cross_attention=True, rotary=True)
    whole = block(HIDDEN, attention_mask=make_causal_mask(5, 5), context=CONTEXT)
    parts = reference.run_in_pieces(block, HIDDEN, block.make_cache(3, 8, CONTEXT), 8, pieces)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)


def test_a_cache_without_a_context_takes_the_context_of_the_call():
    block, _ = make_block(cross_attention=True)
    plain, _ = block(HIDDEN, cache=block.make_cache(3, 5, CONTEXT))
    other, _ = block(HIDDEN, cache=block.make_cache(3, 5), context=CONTEXT)
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize("argument", ["dropout", "feed_forward_dropout"])
def test_dropout_acts_in_training_alone(argument):
    block, _ = make_block(**{argument: 0.5})
    plain = block(HIDDEN)
    np.testing.assert_array_equal(plain, block(HIDDEN, training=False))
    assert np.abs(plain - block(HIDDEN, training=True)).max() > 1e-3


def test_a_context_without_cross_attention_is_refused():
    block, _ = make_block()
    with pytest.raises(ValueError, match=r"context of shape \(3, 7, 6\)"):
        block.call(HIDDEN, context=CONTEXT)
    with pytest.raises(ValueError, match=r"context of shape \(3, 7, 6\)"):
        block.make_cache(3, 5, CONTEXT)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("norm", "group_norm"),
        ("norm_epsilon", -1e-5),
        ("activation", "swoosh"),
        ("dropout", 1.0),
        ("intermediate_dim", 0),
        ("num_heads", -1),
        ("max_wavelength", 0.0),
        ("scale", -1.0),
    ],
)
def test_wrong_arguments_are_refused(argument, value):
    received = f"{argument.removeprefix('norm_')}={value!r}"
    with pytest.raises(ValueError, match=received):
        TransformerBlock(**{"num_heads": 4, "intermediate_dim": 12, argument: value})
