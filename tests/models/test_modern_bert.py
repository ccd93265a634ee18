"""ModernBertBackbone against a NumPy encoder, and the laws of its windows."""

import keras
import numpy as np
import pytest

from lmzoo.models import ModernBertBackbone
from tests.layers.reference import randomise
from tests.models import reference

RANDOM = np.random.default_rng(31)
SIZES = {**reference.SIZES, "num_layers": 5, "local_attention": 6}
MASK = np.array([[1] * 11, [1] * 4 + [0] * 7, [0] * 3 + [1] * 8, [0, 1, 1, 0, 1] + [0] * 6], bool)
TOKEN_IDS = RANDOM.integers(0, 101, (4, 11)).astype("int32")


def make_model(dtype="float64", **options):
    model = ModernBertBackbone(**{**SIZES, **options}, dtype=dtype, name="modern_bert")
    return randomise(model, deviation=0.2)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.parametrize("masked", [False, True])
def test_states_are_those_of_the_numpy_encoder(model, masked):
    inputs = {"token_ids": TOKEN_IDS, **({"padding_mask": MASK} if masked else {})}
    real = MASK if masked else np.ones_like(MASK)
    hidden = model(inputs)["sequence_output"]
    expected = reference.modern_bert(model, **inputs)
    np.testing.assert_allclose(hidden.numpy()[real], expected[real], rtol=0, atol=1e-10)
    table = np.asarray(model.token_embedding.embeddings)
    np.testing.assert_allclose(model.compute_logits(hidden), hidden @ table.T, rtol=0, atol=1e-10)


MUTANTS = {
    "window": lambda m: setattr(m, "local_attention", 8),
    "order of the layers": lambda m: setattr(m, "global_attention_every", 2),
    "wavelength": lambda m: setattr(m.blocks[1].self_attention, "max_wavelength", 160000.0),
    "norm of the embeddings": lambda m: setattr(m.embedding_norm, "epsilon", 1.0),
    "final norm": lambda m: setattr(m.final_norm, "epsilon", 1.0),
    "gate": lambda m: setattr(m.blocks[1].feed_forward, "_activation_function", keras.ops.tanh),
}


@pytest.mark.quick("window", "order of the layers", "norm of the embeddings")
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_numpy_encoder_finds_each_trap(mutant):
    model = make_model()
    expected = reference.modern_bert(model, TOKEN_IDS)
    MUTANTS[mutant](model)
    assert np.abs(model({"token_ids": TOKEN_IDS})["sequence_output"] - expected).max() > 1e-6


def test_a_local_layer_attends_to_half_its_window_on_each_side(model):
    weights = model({"token_ids": TOKEN_IDS}, attention_layers=(0, 1, 2, -2))["attention_weights"]
    near = np.abs(np.arange(11)[:, None] - np.arange(11)) <= 3
    for index, attention in zip((0, 1, 2, 3), weights, strict=True):
        seen = (attention.numpy() > 0).all(axis=(0, 1))
        np.testing.assert_array_equal(seen, np.ones_like(near) if index in (0, 3) else near)


def test_a_text_may_be_longer_than_max_sequence_length():
    model = ModernBertBackbone(**SIZES, max_sequence_length=8)
    assert model({"token_ids": TOKEN_IDS})["sequence_output"].shape == (4, 11, 48)


def test_initial_weights_have_the_documented_deviation():
    keras.utils.set_random_seed(0)
    model = ModernBertBackbone(1000, 8, 4, 128, 200, initializer_range=0.05)
    for path, values in reference.kernels_at_start(model):
        # A normal distribution cut at two deviations has 0.8796 of the deviation left.
        expected = 0.8796 * (0.05 / 4 if path.endswith("/output/kernel") else 0.05)
        np.testing.assert_allclose(values.std(), expected, rtol=0.03, err_msg=path)


def test_a_layer_that_is_not_there_is_refused(model):
    with pytest.raises(ValueError, match="from -5 to 4. Received: 5"):
        model({"token_ids": TOKEN_IDS}, attention_layers=(5,))
