"""GPTBackbone against a NumPy decoder, and the laws that every way to call it must keep."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import GPTBackbone
from tests.layers.reference import randomise
from tests.models import reference

RANDOM = np.random.default_rng(9)
SIZES = {**reference.SIZES, "max_sequence_length": 64}
OPTIONS = {
    "gpt2": {},
    "everything": reference.EVERYTHING,
    "learned and grouped": {"num_key_value_heads": 1, "sliding_window": 4, "tied": False},
    "rotary and shared": {"positions": "rotary", "activation": "gelu"},
}
both = pytest.mark.parametrize("kind", ["gpt2", "everything"])


@pytest.fixture(scope="module")
def models():
    """Each kind of model is made once; no test changes one."""
    return functools.cache(make_model)


def make_model(kind, dtype="float64"):
    model = GPTBackbone(**{**SIZES, **OPTIONS[kind]}, dtype=dtype, name="gpt")
    return randomise(model, deviation=0.2)


def some_ids(*shape):
    return RANDOM.integers(0, 101, shape).astype("int32")


def run_in_pieces(model, inputs, pieces, num_slots):
    """The outputs of a call for each piece, the cache handed from one to the next."""
    batch_size = inputs["token_ids"].shape[0]
    cache, start, outputs = model.make_cache(batch_size, num_slots), 0, []
    for length in pieces:
        piece = {name: x[:, start : start + length] for name, x in inputs.items()}
        hidden, cache = model(piece, cache=cache, position=start)
        outputs.append(hidden)
        start += length
    return np.concatenate(outputs, axis=1), cache


@pytest.mark.parametrize("kind", OPTIONS)
def test_states_and_logits_are_those_of_the_numpy_decoder(models, kind):
    model, token_ids = models(kind), some_ids(3, 11)
    hidden, logits = reference.gpt(model, token_ids)
    ours = model({"token_ids": token_ids})
    np.testing.assert_allclose(ours, hidden, rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.compute_logits(ours), logits, rtol=0, atol=1e-10)


MUTANTS = {
    "positions dropped": lambda m: m.position_embedding.embeddings.assign(
        0 * m.position_embedding.embeddings
    ),
    "norm epsilon": lambda m: setattr(m.final_norm, "epsilon", 1e-3),
    "exact gelu": lambda m: setattr(
        m.blocks[1].feed_forward, "_activation_function", keras.activations.gelu
    ),
    "scale": lambda m: setattr(m.blocks[1].self_attention, "scale", 1.0),
    "bias": lambda m: m.blocks[0].self_attention.query_key_value.bias.assign(np.zeros(144)),
    "norm order": lambda m: setattr(m.blocks[1], "norm_first", False),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_numpy_decoder_finds_each_trap(mutant):
    model, token_ids = make_model("gpt2"), some_ids(2, 9)
    hidden, _ = reference.gpt(model, token_ids)
    MUTANTS[mutant](model)
    assert np.abs(model({"token_ids": token_ids}) - hidden).max() > 1e-6


@pytest.mark.quick("[1,*-everything", "[3, 5]-*", "[8]-*")
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("pieces", [[8], [3, 5], [1] * 8], ids=str)
def test_cached_is_uncached_in_one_piece_and_in_several(models, kind, pieces):
    model, inputs = models(kind), {"token_ids": some_ids(3, 8)}
    cached, cache = run_in_pieces(model, inputs, pieces, num_slots=11)
    np.testing.assert_allclose(cached, model(inputs), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(cache["padding_mask"], [[True] * 8 + [False] * 3] * 3)


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_cache_needs_no_padding_mask_where_nothing_is_padded(models, kind):
    model, token_ids = models(kind), some_ids(3, 8)
    cache, pieces = {**model.make_cache(3, 11), "padding_mask": None}, []
    for start, end in ((0, 3), (3, 8)):
        given = {"token_ids": token_ids[:, start:end]}
        hidden, cache = model(given, cache=cache, position=start)
        pieces.append(hidden)
    found = np.concatenate(pieces, axis=1)
    np.testing.assert_allclose(found, model({"token_ids": token_ids}), rtol=0, atol=1e-10)
    assert cache["padding_mask"] is None


def test_a_cache_without_a_padding_mask_takes_none(models):
    model = models("gpt2")
    inputs = {"token_ids": some_ids(2, 3), "padding_mask": np.ones((2, 3), bool)}
    with pytest.raises(ValueError, match=r"`padding_mask` must be None.*shape \(2, 3\)"):
        model(inputs, cache={**model.make_cache(2, 4), "padding_mask": None})


@both
@pytest.mark.parametrize("pieces", [[8], [3, 5], [1] * 8], ids=str)
def test_cached_is_uncached_under_padding(models, kind, pieces):
    padding_mask = np.arange(8) >= np.array([[0], [2], [6]])
    model, inputs = models(kind), {"token_ids": some_ids(3, 8), "padding_mask": padding_mask}
    cached, cache = run_in_pieces(model, inputs, pieces, num_slots=10)
    plain = model(inputs)
    np.testing.assert_allclose(cached[padding_mask], plain[padding_mask], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(cache["padding_mask"][:, :8], padding_mask)


@pytest.mark.quick("everything")
@both
def test_the_slot_may_be_a_tensor_and_sizes_unknown_in_a_graph(models, kind):
    model, token_ids = models(kind), some_ids(2, 8)

    @tf.function(input_signature=[tf.TensorSpec((None, None), "int32"), tf.TensorSpec((), "int32")])
    def run(token_ids, num_slots):
        batch_size, length = tf.unstack(tf.shape(token_ids))
        cache = model.make_cache(batch_size, num_slots)
        prompt, cache = model({"token_ids": token_ids[:, :-1]}, cache=cache)
        step, _ = model({"token_ids": token_ids[:, -1:]}, cache=cache, position=length - 1)
        return tf.concat([prompt, step], axis=1)

    np.testing.assert_allclose(
        run(token_ids, 10), model({"token_ids": token_ids}), rtol=0, atol=1e-10
    )


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_changed_token_leaves_the_outputs_before_it_bit_equal(kind, dtype):
    model, token_ids = make_model(kind, dtype), some_ids(2, 10)
    before = model({"token_ids": token_ids}).numpy()
    for index in (1, 4, 9):
        changed = token_ids.copy()
        changed[:, index] = (changed[:, index] + 50) % 101
        after = model({"token_ids": changed}).numpy()
        np.testing.assert_array_equal(before[:, :index], after[:, :index])
        assert (before[:, index] != after[:, index]).any(axis=-1).all()


def test_a_token_beyond_the_window_is_seen_only_through_the_layers():
    model = GPTBackbone(**{**SIZES, "num_layers": 1}, sliding_window=3, dtype="float64")
    token_ids = some_ids(1, 9)
    changed = token_ids.copy()
    changed[:, 2] = (changed[:, 2] + 50) % 101
    before, after = (model({"token_ids": x}).numpy() for x in (token_ids, changed))
    differs = (before != after).any(axis=-1)[0]
    np.testing.assert_array_equal(differs, [False, False, True, True, True] + 4 * [False])


@both
@pytest.mark.parametrize("padded", [False, True])
def test_packed_documents_are_each_as_if_alone(models, kind, padded):
    model, documents = models(kind), [some_ids(1, length) for length in (5, 1, 9, 4)]
    document_ids = np.repeat([[3, 0, 7, 1]], [5, 1, 9, 4], axis=1)
    packed = {"token_ids": np.concatenate(documents, axis=1), "document_ids": document_ids}
    if padded:
        packed = {name: np.pad(x, [(0, 0), (0, 6)], mode="edge") for name, x in packed.items()}
        packed["padding_mask"] = np.arange(25)[None] < 19
    hidden = model(packed)
    alone = np.concatenate([model({"token_ids": x}) for x in documents], axis=1)
    np.testing.assert_allclose(hidden[:, :19], alone, rtol=0, atol=1e-10)


@both
def test_packed_rows_may_be_longer_than_the_learned_positions(models, kind):
    model, document = models(kind), some_ids(1, 40)
    packed = {
        "token_ids": np.concatenate([document, document], axis=1),
        "document_ids": np.repeat([[0, 1]], 40, axis=1),
    }
    hidden = model(packed)
    np.testing.assert_allclose(hidden[:, :40], hidden[:, 40:], rtol=0, atol=1e-10)


def test_initial_weights_have_the_documented_deviation():
    keras.utils.set_random_seed(0)
    model = GPTBackbone(
        1000, num_layers=8, num_heads=4, hidden_dim=128, tied=False, initializer_range=0.05
    )
    for path, values in reference.kernels_at_start(model):
        expected = 0.05 / 4 if path.endswith("/output/kernel") else 0.05
        np.testing.assert_allclose(values.std(), expected, rtol=0.03, err_msg=path)


def test_a_sequence_longer_than_the_learned_positions_is_refused(models):
    with pytest.raises(ValueError, match="length=65, max_sequence_length=64"):
        models("gpt2")({"token_ids": some_ids(1, 65)})


def test_documents_with_a_cache_are_refused(models):
    model = models("gpt2")
    inputs = {"token_ids": some_ids(1, 4), "document_ids": np.zeros((1, 4), "int32")}
    with pytest.raises(ValueError, match=r"document_ids of shape \(1, 4\)"):
        model(inputs, cache=model.make_cache(1, 4))


def test_more_tokens_than_the_cache_has_slots_are_refused(models):
    model = models("gpt2")
    with pytest.raises(ValueError, match="position=3, 2 new positions, 4 slots"):
        model({"token_ids": some_ids(1, 2)}, cache=model.make_cache(1, 4), position=3)
