"""BertBackbone against a NumPy encoder, and the laws that every way to call it must keep."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone
from tests.layers.reference import randomise
from tests.models import reference

RANDOM = np.random.default_rng(19)
SIZES = {**reference.SIZES, "max_sequence_length": 41}
OPTIONS = {
    "bert": {"norm_epsilon": 1e-6},
    "roberta": {"num_segments": 1, "position_offset": 2, "norm_epsilon": 1e-5},
    "distilbert": {"num_segments": 0, "pooler": False},
    "electra": {"pooler": False, "embedding_dim": 20},
    "mpnet": {
        "num_segments": 0,
        "position_offset": 2,
        "relative_attention": True,
        "num_buckets": 8,
        "max_distance": 9,
    },
    "another": {"num_segments": 3, "activation": "gelu_tanh", "position_offset": 1},
}
MASK = np.array([[1] * 11, [1] * 4 + [0] * 7, [0] * 3 + [1] * 8, [0, 1, 1, 0, 1] + [0] * 6], bool)
every_kind = pytest.mark.parametrize("kind", OPTIONS)


@pytest.fixture(scope="module")
def models():
    """Each kind of model is made once; no test changes one."""
    return functools.cache(make_model)


def make_model(kind, dtype="float64", deviation=0.2):
    model = BertBackbone(**{**SIZES, **OPTIONS[kind]}, dtype=dtype, name="bert")
    return randomise(model, deviation=deviation)


def some_inputs(batch_size, length, padding_mask=None):
    inputs = {
        "token_ids": RANDOM.integers(0, 101, (batch_size, length)).astype("int32"),
        "segment_ids": RANDOM.integers(0, 2, (batch_size, length)).astype("int32"),
    }
    return inputs if padding_mask is None else {**inputs, "padding_mask": padding_mask}


def assert_equal_outputs(got, wanted, atol):
    """Both as dicts of arrays of the same shapes."""
    assert got.keys() == wanted.keys()
    for name in got:
        np.testing.assert_allclose(got[name], wanted[name], rtol=0, atol=atol, err_msg=name)


@every_kind
@pytest.mark.parametrize("masked", [False, True])
def test_states_and_pooled_output_are_those_of_the_numpy_encoder(models, kind, masked):
    model, inputs = models(kind), some_inputs(4, 11, MASK if masked else None)
    states, pooled, _ = reference.bert(model, **inputs)
    real = inputs.get("padding_mask", np.ones((4, 11), bool))
    outputs = model(inputs)
    np.testing.assert_allclose(
        outputs["sequence_output"].numpy()[real], states[-1][real], rtol=0, atol=1e-10
    )
    assert ("pooled_output" in outputs) == model.pooler
    if model.pooler:
        np.testing.assert_allclose(outputs["pooled_output"], pooled, rtol=0, atol=1e-10)
    table = np.asarray(model.token_embedding.embeddings)
    hidden = outputs["sequence_output"][..., : table.shape[-1]]
    np.testing.assert_allclose(model.compute_logits(hidden), hidden @ table.T, atol=1e-10)


@every_kind
def test_attention_weights_are_those_of_the_numpy_encoder(models, kind):
    model, inputs = models(kind), some_inputs(4, 11, MASK)
    _, _, expected = reference.bert(model, **inputs)
    outputs = model(inputs, attention_layers=(-1, 0, 1))
    assert len(outputs["attention_weights"]) == 3
    queries = np.broadcast_to(MASK[:, None], (4, 4, 11))
    for weights, wanted in zip(
        outputs["attention_weights"], [expected[1], expected[0], expected[1]], strict=True
    ):
        weights = weights.numpy()
        np.testing.assert_allclose(weights[queries], wanted[queries], rtol=0, atol=1e-10)
        np.testing.assert_allclose(weights.sum(axis=-1), np.ones((4, 4, 11)), atol=1e-12)
        assert (weights[~np.broadcast_to(MASK[:, None, None], weights.shape)] == 0).all()
    plain = model(inputs)
    assert "attention_weights" not in plain
    np.testing.assert_array_equal(outputs["sequence_output"], plain["sequence_output"])


def test_missing_segments_are_the_first_one(models):
    for kind in ("bert", "another"):
        inputs = some_inputs(2, 9)
        zeros = {**inputs, "segment_ids": np.zeros((2, 9), "int32")}
        missing = {"token_ids": inputs["token_ids"]}
        assert_equal_outputs(models(kind)(missing), models(kind)(zeros), 0)
        changed = models(kind)(inputs)["sequence_output"] - models(kind)(zeros)["sequence_output"]
        assert np.abs(changed).max() > 1e-3


def test_attention_knows_distances_of_which_positions_say_nothing(models):
    model = make_model("mpnet")
    model.position_embedding.embeddings.assign(0 * model.position_embedding.embeddings)
    inputs = some_inputs(1, 6)
    backwards = {name: values[:, ::-1] for name, values in inputs.items()}
    there, back = (model(x)["sequence_output"].numpy() for x in (inputs, backwards))
    assert np.abs(there - back[:, ::-1]).max() > 1e-3


@pytest.mark.parametrize(
    ("num_buckets", "max_distance"), [(7, 128), (32, 8)], ids=["odd", "too near"]
)
def test_buckets_that_do_not_fit_are_refused(num_buckets, max_distance):
    received = "num_buckets=7" if num_buckets == 7 else "max_distance=8"
    with pytest.raises(ValueError, match=received):
        BertBackbone(
            **SIZES, relative_attention=True, num_buckets=num_buckets, max_distance=max_distance
        )


MUTANTS = {
    "positions dropped": lambda m: m.position_embedding.embeddings.assign(
        0 * m.position_embedding.embeddings
    ),
    "position offset": lambda m: setattr(m, "position_offset", 0),
    "segments dropped": lambda m: setattr(m, "segment_embedding", None),
    "norm epsilon": lambda m: setattr(m.embedding_norm, "epsilon", 1e-3),
    "tanh gelu": lambda m: setattr(
        m.blocks[1].feed_forward,
        "_activation_function",
        lambda x: keras.activations.gelu(x, approximate=True),
    ),
    "scale": lambda m: setattr(m.blocks[1].self_attention, "scale", 1.0),
    "bias": lambda m: m.blocks[0].self_attention.query_key_value.bias.assign(np.zeros(144)),
    "norm order": lambda m: setattr(m.blocks[1], "norm_first", True),
    "pooler without tanh": lambda m: setattr(
        m.pooler_dense, "activation", keras.activations.linear
    ),
}


@pytest.mark.parametrize("mutant", [None, *MUTANTS])
def test_the_numpy_encoder_finds_each_trap(mutant):
    model, inputs = make_model("roberta"), some_inputs(2, 9)
    states, pooled, _ = reference.bert(model, **inputs)
    if mutant is not None:
        MUTANTS[mutant](model)
    outputs = model(inputs)
    error = max(
        np.abs(outputs["sequence_output"] - states[-1]).max(),
        np.abs(outputs["pooled_output"] - pooled).max(),
    )
    assert error > 1e-6 if mutant is not None else error < 1e-10


def test_a_row_without_real_tokens_is_finite(models):
    outputs = models("bert")(some_inputs(2, 5, np.array([[True] * 5, [False] * 5])))
    assert all(np.isfinite(x).all() for x in outputs.values())


def test_every_token_sees_every_other(models):
    model, inputs = models("bert"), some_inputs(1, 9)
    before = model(inputs)["sequence_output"].numpy()
    for place in (0, 4, 8):
        changed = {**inputs, "token_ids": inputs["token_ids"].copy()}
        changed["token_ids"][0, place] = (changed["token_ids"][0, place] + 50) % 101
        after = model(changed)["sequence_output"].numpy()
        assert (before != after).any(axis=-1).all()


@pytest.mark.quick("mixed_float16-another", "float64-distilbert")
@pytest.mark.parametrize("kind", ["distilbert", "another"])
@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_a_functional_model_around_it_is_saved_with_it(kind, dtype, tmp_path):
    model = make_model(kind, dtype, deviation=0.05)
    symbols = {
        name: keras.Input((None,), dtype="bool" if name == "padding_mask" else "int32", name=name)
        for name in ("token_ids", "padding_mask", "segment_ids")
    }
    outputs = model(symbols, attention_layers=(0,))
    compute_dtype = model.compute_dtype
    weights = outputs.pop("attention_weights")[0]
    assert (weights.shape, weights.dtype) == ((None, 4, None, None), compute_dtype)
    shapes = {"sequence_output": (None, None, 48), "pooled_output": (None, 48)}
    assert {name: x.shape for name, x in outputs.items()} == {
        name: shapes[name] for name in outputs
    }
    assert {x.dtype for x in outputs.values()} == {compute_dtype}
    head = keras.layers.Dense(2, dtype=dtype)(outputs["sequence_output"])
    wrapped = keras.Model(symbols, {"head": head, "weights": weights})
    inputs = some_inputs(4, 11, MASK)
    wrapped.save(tmp_path / "wrapped.keras")
    loaded = keras.saving.load_model(tmp_path / "wrapped.keras")
    assert_equal_outputs(loaded(inputs), wrapped(inputs), 0)


def test_initial_weights_have_the_documented_deviation():
    keras.utils.set_random_seed(0)
    model = BertBackbone(1000, num_layers=2, num_heads=4, hidden_dim=128, initializer_range=0.05)
    for path, values in reference.kernels_at_start(model):
        assert np.abs(values).max() <= 0.1, path
        if values.size > 1000:
            # A normal distribution cut at two deviations has 0.8796 of the deviation left.
            np.testing.assert_allclose(values.std(), 0.8796 * 0.05, rtol=0.03, err_msg=path)


@every_kind
def test_a_sequence_longer_than_the_positions_is_refused(models, kind):
    with pytest.raises(ValueError, match="length=42, max_sequence_length=41"):
        models(kind)(some_inputs(1, 42))


@every_kind
def test_a_padded_text_longer_than_the_positions_is_refused_on_a_processor(models, kind):
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("a graphics card gives zeros for what is not in a table")
    mask = np.arange(50)[None] < 42
    with pytest.raises(tf.errors.InvalidArgumentError, match="= 4[1-3] is not in"):
        models(kind)(some_inputs(1, 50, mask))


@pytest.mark.parametrize("index", [2, -3])
def test_a_layer_that_is_not_there_is_refused(models, index):
    with pytest.raises(ValueError, match=f"from -2 to 1. Received: {index}"):
        models("bert")(some_inputs(1, 3), attention_layers=(0, index))
