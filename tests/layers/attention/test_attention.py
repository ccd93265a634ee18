"""Attention against the formulas, with masks, groups, rotary positions and caches."""

import keras
import numpy as np
import pytest
from keras import ops

from lmzoo.layers import CrossAttention, SelfAttention, make_causal_mask
from lmzoo.layers.attention.dot_product import attend
from tests.layers import reference

RANDOM = np.random.default_rng(1)


def heads(num_heads, length, dim=6, batch=3):
    return RANDOM.normal(size=(batch, num_heads, length, dim))


def some_mask(batch, length, slots):
    mask = RANDOM.random((batch, length, slots)) < 0.6
    mask[0, 0] = False
    return mask


@pytest.mark.parametrize("num_key_value_heads", [4, 2, 1])
@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
@pytest.mark.parametrize("extras", ["none", "mask", "bias", "both"])
def test_attend_is_the_formula(num_key_value_heads, scale, extras):
    query, key, value = heads(4, 5), heads(num_key_value_heads, 7), heads(num_key_value_heads, 7)
    mask = some_mask(3, 5, 7) if extras in ("mask", "both") else None
    bias = RANDOM.normal(size=(1, 4, 5, 7)) if extras in ("bias", "both") else None
    ours = attend(*(ops.convert_to_tensor(x) for x in (query, key, value)), mask, bias, scale)
    expected = reference.attend(query, key, value, mask, bias, scale)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 1, 7), (1, 1, 7), (3, 5, 7)])
def test_masks_broadcast_over_rows_and_queries(shape):
    query, key, value = heads(4, 5), heads(2, 7), heads(2, 7)
    mask = some_mask(*shape)
    ours = attend(*(ops.convert_to_tensor(x) for x in (query, key, value)), mask)
    np.testing.assert_allclose(ours, reference.attend(query, key, value, mask), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_query_that_may_look_nowhere_gets_zeros(dtype):
    query, key, value = (ops.cast(heads(2, 4), dtype) for _ in range(3))
    mask = np.ones((3, 4, 4), bool)
    mask[1, 2] = False
    mixed = ops.convert_to_numpy(ops.cast(attend(query, key, value, mask), "float32"))
    assert np.isfinite(mixed).all()
    assert (mixed[1, :, 2] == 0).all()
    assert (mixed[1, :, 1] != 0).all()


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_masked_key_changes_nothing(dtype):
    query, key, value = (ops.cast(heads(2, 4), dtype) for _ in range(3))
    mask = np.ones((3, 4, 4), bool)
    mask[:, :, 1] = False
    plain = attend(query, key, value, mask)
    hole = np.arange(4).reshape(1, 1, 4, 1) == 1
    key, value = (ops.where(hole, ops.cast(100.0, dtype), x) for x in (key, value))
    np.testing.assert_array_equal(plain, attend(query, key, value, mask))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_single_key_is_taken_whole_or_not_at_all(dtype):
    query, key, value = (ops.cast(heads(2, 1), dtype) for _ in range(3))
    np.testing.assert_array_equal(attend(query, key, value), value)
    mask = np.array([[[True]], [[False]], [[True]]])
    np.testing.assert_array_equal(attend(query, key, value, mask), value * mask[..., None])


def test_attend_drops_weights_not_values():
    query, key, value = (ops.convert_to_tensor(heads(2, 4)) for _ in range(3))
    seen = []
    attend(query, key, value, dropout=lambda weights: seen.append(weights) or weights)
    np.testing.assert_allclose(ops.sum(seen[0], axis=-1), np.ones((3, 2, 4)), atol=1e-12)


@pytest.mark.parametrize("num_key_value_heads", [4, 2, 1])
def test_the_weights_of_attend_are_those_of_the_formula(num_key_value_heads):
    query, key, value = heads(4, 5), heads(num_key_value_heads, 7), heads(num_key_value_heads, 7)
    mask, bias = some_mask(3, 5, 7), RANDOM.normal(size=(1, 4, 5, 7))
    arguments = [ops.convert_to_tensor(x) for x in (query, key, value)]
    mixed, weights = attend(*arguments, mask, bias, 0.3, return_weights=True)
    expected = reference.attention_weights(query, key, mask, bias, 0.3)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-13)
    # A query that may look nowhere has no weights at all.
    rows = np.broadcast_to(mask.any(axis=-1)[:, None], (3, 4, 5))
    np.testing.assert_allclose(ops.sum(weights, axis=-1), rows, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(mixed, attend(*arguments, mask, bias, 0.3))


def test_weights_are_handed_out_before_dropout():
    arguments = [ops.convert_to_tensor(heads(2, 4)) for _ in range(3)]
    _, weights = attend(*arguments, dropout=lambda x: 0 * x, return_weights=True)
    np.testing.assert_allclose(ops.sum(weights, axis=-1), np.ones((3, 2, 4)), atol=1e-12)


@pytest.mark.parametrize("cached", [False, True])
def test_self_attention_hands_out_its_weights_last(cached):
    layer = SelfAttention(4, num_key_value_heads=2, dtype="float64")
    layer.build((None, None, 16))
    weights = reference.weights_of(reference.randomise(layer))
    hidden, mask = RANDOM.normal(size=(3, 5, 16)), some_mask(3, 5, 5)
    cache = layer.make_cache(3, 5) if cached else None
    output, *caches, ours = layer(hidden, attention_mask=mask, cache=cache, return_weights=True)
    assert len(caches) == cached
    expected, expected_weights = reference.self_attention(
        hidden, weights, 4, 2, mask, return_weights=True
    )
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours, expected_weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_key_value_heads", [None, 2, 1])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False, "use_output_bias": True},
        {"use_bias": True, "use_output_bias": False},
        {"scale": 1.0, "head_dim": 6},
        {"rotary": True, "max_wavelength": 500.0},
        {"query_key_norm": True, "norm_epsilon": 1e-2, "head_dim": 6},
    ],
    ids=str,
)
def test_self_attention_is_the_formula(num_key_value_heads, options):
    layer = SelfAttention(4, num_key_value_heads=num_key_value_heads, dtype="float64", **options)
    layer.build((None, None, 16))
    weights = reference.weights_of(reference.randomise(layer))
    hidden = RANDOM.normal(size=(3, 5, 16))
    mask, bias = some_mask(3, 5, 5), RANDOM.normal(size=(3, 4, 5, 5))
    expected = reference.self_attention(
        hidden,
        weights,
        4,
        num_key_value_heads,
        mask,
        np.arange(5) if "rotary" in options else None,
        options.get("max_wavelength"),
        norm_epsilon=options.get("norm_epsilon"),
        bias=bias,
        scale=options.get("scale"),
    )
    ours = layer(hidden, attention_mask=mask, bias=bias)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_rotary_attention_takes_the_given_positions():
    layer = SelfAttention(2, rotary=True, dtype="float64")
    hidden = RANDOM.normal(size=(2, 3, 8))
    positions = np.array([[0, 1, 2], [5, 0, 9]])
    layer.build(hidden.shape)
    weights = reference.weights_of(reference.randomise(layer))
    expected = reference.self_attention(hidden, weights, 2, positions=positions)
    np.testing.assert_allclose(layer(hidden, positions=positions), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pieces", [[7], [4, 3], [1] * 7])
@pytest.mark.parametrize("options", [{}, {"rotary": True, "num_key_value_heads": 2}], ids=str)
def test_cached_self_attention_is_the_uncached_one(pieces, options):
    layer = SelfAttention(4, dtype="float64", **options)
    hidden = RANDOM.normal(size=(3, 7, 16))
    whole = layer(hidden, attention_mask=make_causal_mask(7, 7))
    parts = reference.run_in_pieces(layer, hidden, layer.make_cache(3, 9), 9, pieces)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_key_value_heads", [None, 2])
def test_cross_attention_is_the_formula(num_key_value_heads):
    layer = CrossAttention(4, num_key_value_heads=num_key_value_heads, dtype="float64")
    hidden, context = RANDOM.normal(size=(3, 5, 16)), RANDOM.normal(size=(3, 7, 10))
    layer.build(hidden.shape, context.shape)
    weights = reference.weights_of(reference.randomise(layer))
    mask = some_mask(3, 1, 7)
    expected = reference.cross_attention(hidden, context, weights, 4, num_key_value_heads, mask)
    ours = layer(hidden, context, attention_mask=mask)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_a_cached_context_gives_the_same():
    layer = CrossAttention(2, num_key_value_heads=1, dtype="float64")
    hidden, context = RANDOM.normal(size=(3, 5, 8)), RANDOM.normal(size=(3, 7, 6))
    plain = layer(hidden, context)
    np.testing.assert_array_equal(plain, layer(hidden, cache=layer.make_cache(context)))


@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_attention_weights_are_dropped_only_in_training(kind):
    layer = kind(2, dropout=0.5)
    hidden = RANDOM.normal(size=(2, 5, 8)).astype("float32")
    context = {"context": hidden} if kind is CrossAttention else {}
    plain = layer(hidden, **context)
    np.testing.assert_array_equal(plain, layer(hidden, training=False, **context))
    first, second = (layer(hidden, training=True, **context) for _ in range(2))
    assert np.abs(first - plain).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
@pytest.mark.parametrize(
    ("arguments", "error", "received"),
    [
        ({"num_heads": 0}, ValueError, "num_heads=0"),
        ({"num_heads": 2.0}, TypeError, "num_heads=2.0"),
        ({"num_heads": True}, TypeError, "num_heads=True"),
        ({"num_heads": 4, "num_key_value_heads": 3}, ValueError, "num_key_value_heads=3, num_h"),
        ({"num_heads": 4, "num_key_value_heads": 0}, ValueError, "num_key_value_heads=0"),
        ({"num_heads": 4, "num_key_value_heads": -2}, ValueError, "num_key_value_heads=-2"),
        ({"num_heads": 4, "head_dim": 0}, ValueError, "head_dim=0"),
        ({"num_heads": 4, "scale": 0.0}, ValueError, "scale=0.0"),
        ({"num_heads": 4, "scale": float("nan")}, ValueError, "scale=nan"),
        ({"num_heads": 4, "dropout": 1.0}, ValueError, "dropout=1.0"),
        ({"num_heads": 4, "dropout": -0.1}, ValueError, "dropout=-0.1"),
        ({"num_heads": 4, "dropout": "much"}, ValueError, "dropout='much'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(kind, arguments, error, received):
    with pytest.raises(error, match=received):
        kind(**arguments)


def test_self_attention_refuses_a_wavelength_of_zero():
    with pytest.raises(ValueError, match="max_wavelength=0"):
        SelfAttention(2, rotary=True, max_wavelength=0)


@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_heads_that_do_not_divide_the_width_are_refused(kind):
    with pytest.raises(ValueError, match="num_heads=5, hidden_dim=16"):
        kind(5).build((None, None, 16))


def test_an_odd_rotary_head_is_refused_when_built():
    with pytest.raises(ValueError, match="head_dim=3"):
        SelfAttention(2, rotary=True).build((None, None, 6))


def test_cross_attention_wants_a_context_or_a_cache():
    layer = CrossAttention(2)
    layer.build((None, None, 4), (None, None, 4))
    with pytest.raises(ValueError, match="Received: None"):
        layer.call(keras.ops.zeros((1, 2, 4)))
