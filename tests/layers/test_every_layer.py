"""What holds for every layer alike: it stands alone in any Keras model, in every precision."""

import importlib.util
import inspect
import itertools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import (
    ClassificationHead,
    CrossAttention,
    FeedForward,
    MaskedLMHead,
    PositionEmbedding,
    RelativePositionBias,
    SelfAttention,
    SinePositionEncoding,
    TokenEmbedding,
    TransformerBlock,
)
from tests.layers import reference

RANDOM = np.random.default_rng(8)
INPUTS = {
    "token_ids": RANDOM.integers(0, 11, (2, 5)).astype("int32"),
    "hidden": RANDOM.normal(size=(2, 5, 8)).astype("float32"),
    "context": RANDOM.normal(size=(2, 7, 6)).astype("float32"),
    "embeddings": RANDOM.normal(size=(11, 8)).astype("float32"),
    "attention_mask": RANDOM.random((2, 5, 5)) < 0.7,
    "context_mask": RANDOM.random((2, 1, 7)) < 0.7,
    "positions": RANDOM.integers(0, 9, (2, 5)).astype("int32"),
}
HEADS = {
    **{"num_heads": 4, "head_dim": 6, "num_key_value_heads": 2},
    **{"use_bias": False, "use_output_bias": True, "scale": 0.7},
}
# name: (class, every argument that differs from its default, the inputs in the order of the call)
CASES = {
    "token embedding": (
        TokenEmbedding,
        {"vocabulary_size": 11, "hidden_dim": 8, "tied": False, "initializer": "he_normal"},
        ["token_ids"],
    ),
    "learned positions": (
        PositionEmbedding,
        {"max_sequence_length": 9, "initializer": "he_normal"},
        ["hidden", "positions"],
    ),
    "learned positions from 0": (PositionEmbedding, {"max_sequence_length": 9}, ["hidden"]),
    "sinusoidal positions": (
        SinePositionEncoding,
        {"max_wavelength": 99.0},
        ["hidden", "positions"],
    ),
    "feed-forward": (FeedForward, {"intermediate_dim": 12}, ["hidden"]),
    "gated feed-forward": (
        FeedForward,
        {
            "intermediate_dim": 12,
            "activation": "gelu_tanh",
            "gated": True,
            "use_bias": False,
            "initializer": "he_normal",
            "output_initializer": "lecun_normal",
        },
        ["hidden"],
    ),
    "feed-forward with a float32 output": (
        FeedForward,
        {"intermediate_dim": 12, "gated": True, "dropout": 0.1, "float32_output": True},
        ["hidden"],
    ),
    "self-attention": (SelfAttention, {"num_heads": 4}, ["hidden", "attention_mask"]),
    "rotary self-attention": (
        SelfAttention,
        {
            **HEADS,
            "rotary": True,
            "max_wavelength": 99.0,
            "query_key_norm": True,
            "norm_epsilon": 1e-4,
            "causal": True,
            "dropout": 0.1,
            "initializer": "he_normal",
            "output_initializer": "lecun_normal",
        },
        ["hidden", "attention_mask", "positions"],
    ),
    "cross-attention": (
        CrossAttention,
        {
            **HEADS,
            "dropout": 0.1,
            "initializer": "he_normal",
            "output_initializer": "lecun_normal",
        },
        ["hidden", "context"],
    ),
    "block": (
        TransformerBlock,
        {"num_heads": 4, "intermediate_dim": 12},
        ["hidden", "attention_mask"],
    ),
    "block with everything": (
        TransformerBlock,
        {
            "num_heads": 4,
            "intermediate_dim": 12,
            "head_dim": 6,
            "num_key_value_heads": 2,
            "rotary": True,
            "max_wavelength": 99.0,
            "query_key_norm": True,
            "scale": 0.7,
            "norm": "rms_norm",
            "norm_epsilon": 1e-4,
            "norm_first": False,
            "activation": "silu",
            "gated": True,
            "use_bias": False,
            "use_attention_bias": True,
            "use_output_bias": True,
            "cross_attention": True,
            "dropout": 0.1,
            "feed_forward_dropout": 0.1,
            "causal": True,
            "initializer": "he_normal",
            "output_initializer": "lecun_normal",
        },
        ["hidden", "attention_mask", "positions", "context", "context_mask"],
    ),
    "block without norm biases": (
        TransformerBlock,
        {
            "num_heads": 4,
            "intermediate_dim": 12,
            "use_norm_bias": False,
            "use_attention_norm": False,
        },
        ["hidden", "attention_mask"],
    ),
    "block with a float32 residual path": (
        TransformerBlock,
        {
            "num_heads": 4,
            "intermediate_dim": 12,
            "norm": "rms_norm",
            "cross_attention": True,
            "float32_residual": True,
        },
        ["hidden", "attention_mask", "context"],
    ),
    "classification head": (ClassificationHead, {"num_classes": 3}, ["hidden"]),
    "deep classification head": (
        ClassificationHead,
        {
            "num_classes": 3,
            "hidden_activation": "tanh",
            "dropout": 0.1,
            "initializer": "he_normal",
            "use_hidden_bias": False,
            "hidden_norm_epsilon": 1e-4,
        },
        ["hidden"],
    ),
    "masked language model's head": (
        MaskedLMHead,
        {
            "vocabulary_size": 11,
            "activation": "gelu_tanh",
            "norm_epsilon": 1e-6,
            "initializer": "he_normal",
            "use_bias": False,
        },
        ["hidden", "embeddings"],
    ),
}
HEADS = (ClassificationHead, MaskedLMHead)
every_case = pytest.mark.parametrize("case", CASES)


def make_layer(case, dtype="float32"):
    kind, arguments, names = CASES[case]
    layer = kind(**arguments, dtype=dtype)
    layer(**call_arguments(layer, names))
    return reference.randomise(layer)


def call_arguments(layer, names, values=INPUTS):
    """The inputs under the names of the layer's `call`; the first is its first argument."""
    first = next(iter(inspect.signature(layer.call).parameters))
    return {name if name != names[0] else first: values[name] for name in names}


def make_model(case, dtype="float32"):
    kind, arguments, names = CASES[case]
    symbols = {
        name: keras.Input(
            shape=(None,) * (x.ndim - 2) + (x.shape[-1] if x.dtype == "float32" else None,),
            dtype=str(x.dtype),
            name=name,
        )
        for name, x in INPUTS.items()
        if name in names
    }
    layer = kind(**arguments, dtype=dtype)
    outputs = layer(**call_arguments(layer, names, symbols))
    reference.randomise(layer)
    return keras.Model([symbols[name] for name in names], outputs), [INPUTS[x] for x in names]


def output_dtype(layer):
    """Heads give logits, which are in float32 at least, and so is what is asked to be."""
    wide = isinstance(layer, HEADS) or any(
        getattr(layer, name, False) for name in ("float32_output", "float32_residual")
    )
    return "float32" if wide and layer.compute_dtype != "float64" else layer.compute_dtype


def all_arguments(kind):
    """Every argument of the class and its parents but Keras's own."""
    classes = itertools.takewhile(lambda c: c is not keras.layers.Layer, kind.__mro__)
    names = set().union(*(inspect.signature(c.__init__).parameters for c in classes))
    return names - {"self", "args", "kwargs"}


@every_case
def test_the_config_holds_every_argument_and_makes_the_same_layer(case):
    kind, arguments, _ = CASES[case]
    layer = kind(**arguments, dtype="mixed_bfloat16", name="chosen", trainable=False)
    config = layer.get_config()
    assert all_arguments(kind) <= set(config)
    for name, value in arguments.items():
        if "initializer" not in name:
            assert config[name] == value
    for twin in (
        kind.from_config(config),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)),
    ):
        assert twin.get_config() == config
        assert (twin.name, twin.trainable) == ("chosen", False)


@every_case
def test_a_saved_functional_model_gives_the_same_bits(case, tmp_path):
    model, inputs = make_model(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.weights] == [w.path for w in model.weights]
    np.testing.assert_array_equal(model(inputs), loaded(inputs))


@every_case
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "float64"])
def test_symbolic_outputs_have_the_shape_and_dtype_of_real_ones(case, dtype):
    model, inputs = make_model(case, dtype)
    symbol, real = model.output, model(inputs)
    assert symbol.shape == (None, None, real.shape[-1])
    assert symbol.dtype == real.dtype == output_dtype(model.layers[-1])


# XLA takes a second for each: by default it compiles the one with everything.
COMPILED = [
    pytest.param(case, True, marks=[pytest.mark.slow] * (case != "block with everything"))
    for case in CASES
]


@pytest.mark.parametrize(("case", "jit_compile"), [*((case, False) for case in CASES), *COMPILED])
def test_graph_and_compiled_outputs_are_the_eager_ones(case, jit_compile):
    layer, names = make_layer(case), CASES[case][2]
    eager = layer(**call_arguments(layer, names))
    specs = {
        name: tf.TensorSpec([None] * (x.ndim - 1) + [x.shape[-1]], x.dtype)
        if x.dtype == "float32"
        else tf.TensorSpec([None] * x.ndim, x.dtype)
        for name, x in call_arguments(layer, names).items()
    }
    graph = tf.function(lambda inputs: layer(**inputs), [specs], jit_compile=jit_compile)
    # Both compute float32 sums in another order.
    np.testing.assert_allclose(graph(call_arguments(layer, names)), eager, rtol=1e-5, atol=2e-5)


@every_case
@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_bfloat16", 1e-2), ("mixed_float16", 5e-3)]
)
def test_half_precision_stays_near_float32(case, policy, tolerance):
    full, half = (
        reference.randomise(make_layer(case, dtype), deviation=0.1) for dtype in ("float32", policy)
    )
    expected = full(**call_arguments(full, CASES[case][2]))
    output = half(**call_arguments(half, CASES[case][2]))
    assert output.dtype == output_dtype(half)
    output = tf.cast(output, "float32").numpy()
    assert np.isfinite(output).all()
    np.testing.assert_allclose(output, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@every_case
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16", "float64"])
def test_a_gradient_reaches_every_variable(case, dtype):
    layer, names = make_layer(case, dtype), CASES[case][2]
    with tf.GradientTape() as tape:
        output = layer(**call_arguments(layer, names))
        if isinstance(layer, TokenEmbedding):
            output = layer(output, reverse=True)
        loss = tf.reduce_mean(tf.square(tf.cast(output, "float32")))
    variables = [v.value for v in layer.trainable_variables]
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert gradient.dtype == variable.dtype
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


@every_case
def test_variables_keep_the_precision_of_the_policy(case):
    assert {w.dtype for w in make_layer(case, "mixed_float16").weights} <= {"float32"}
    assert {w.dtype for w in make_layer(case, "float64").weights} <= {"float64"}


@every_case
def test_the_keras_mask_of_the_first_input_is_handed_on(case):
    layer, names = make_layer(case), CASES[case][2]
    arguments = call_arguments(layer, names)
    first = next(iter(arguments))
    embedded = keras.layers.Embedding(11, 8, mask_zero=True)(INPUTS["token_ids"])
    if first != "inputs":
        output = layer(**{**arguments, first: embedded})
        np.testing.assert_array_equal(output._keras_mask, INPUTS["token_ids"] != 0)


def test_layers_stack_in_a_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            TokenEmbedding(11, 8),
            TransformerBlock(2, 16),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(INPUTS["token_ids"], np.ones((2, 1)), verbose=0)
    assert model.predict(INPUTS["token_ids"], verbose=0).shape == (2, 1)


# Makes each layer from its config under KERAS_BACKEND=jax, and runs it jitted.
JAX_PROCESS = """
import json, sys
import jax, keras, numpy as np
import lmzoo.layers
for name, case in json.load(open(sys.argv[1] + "/cases.json")).items():
    data = np.load(f"{sys.argv[1]}/{name}.npz")
    layer = keras.saving.deserialize_keras_object(case["layer"])
    inputs = {key: data[key] for key in case["inputs"]}
    layer(**inputs)
    layer.set_weights([data[f"weight_{i}"] for i in range(len(layer.weights))])
    values = [w.value for w in layer.trainable_variables]
    states = [w.value for w in layer.non_trainable_variables]
    run = jax.jit(lambda values, inputs: layer.stateless_call(values, states, **inputs)[0])
    np.testing.assert_allclose(run(values, inputs), data["output"], rtol=1e-5, atol=2e-5)
print(keras.backend.backend())
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_layers_give_the_same_on_jax(tmp_path):
    cases = {}
    for case in CASES:
        layer, names = make_layer(case), CASES[case][2]
        inputs = call_arguments(layer, names)
        weights = {f"weight_{i}": np.asarray(w) for i, w in enumerate(layer.weights)}
        np.savez(tmp_path / f"{case}.npz", output=layer(**inputs), **inputs, **weights)
        cases[case] = {
            "layer": keras.saving.serialize_keras_object(layer),
            "inputs": list(inputs),
        }
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    child = subprocess.run(
        [sys.executable, "-c", JAX_PROCESS, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stdout.split() == ["jax"]


# (class, arguments, what the message says of them); an argument of another type is a TypeError.
WRONG_ARGUMENTS = [
    (TokenEmbedding, {"vocabulary_size": 0, "hidden_dim": 4}, "vocabulary_size=0"),
    (TokenEmbedding, {"vocabulary_size": "3", "hidden_dim": 4}, "vocabulary_size='3'"),
    (TokenEmbedding, {"vocabulary_size": 4, "hidden_dim": -1}, "hidden_dim=-1"),
    (PositionEmbedding, {"max_sequence_length": 0}, "max_sequence_length=0"),
    (PositionEmbedding, {"max_sequence_length": 2.5}, "max_sequence_length=2.5"),
    (SinePositionEncoding, {"max_wavelength": 0}, "max_wavelength=0"),
    (SinePositionEncoding, {"max_wavelength": -1.0}, "max_wavelength=-1.0"),
    (RelativePositionBias, {"num_heads": 0}, "num_heads=0"),
    (RelativePositionBias, {"num_heads": 2.0}, "num_heads=2.0"),
    (RelativePositionBias, {"num_heads": 2, "num_buckets": 7}, "num_buckets=7"),
    (RelativePositionBias, {"num_heads": 2, "num_buckets": 2}, "max_distance=128, 0 such buckets"),
    (RelativePositionBias, {"num_heads": 2, "max_distance": 8}, "max_distance=8, 8 such buckets"),
    (
        RelativePositionBias,
        {"num_heads": 2, "max_distance": 16, "bidirectional": False},
        "max_distance=16, 16 such",
    ),
    (FeedForward, {"intermediate_dim": 0}, "intermediate_dim=0"),
    (FeedForward, {"intermediate_dim": 4.0}, "intermediate_dim=4.0"),
    (FeedForward, {"intermediate_dim": 4, "dropout": 1.0}, "dropout=1.0"),
    (FeedForward, {"intermediate_dim": 4, "dropout": -0.1}, "dropout=-0.1"),
    (ClassificationHead, {"num_classes": 0}, "num_classes=0"),
    (ClassificationHead, {"num_classes": 2.0}, "num_classes=2.0"),
    (ClassificationHead, {"num_classes": 2, "dropout": 1.0}, "dropout=1.0"),
    (ClassificationHead, {"num_classes": 2, "hidden_activation": "no"}, "activation='no'"),
    (MaskedLMHead, {"vocabulary_size": -1}, "vocabulary_size=-1"),
    (MaskedLMHead, {"vocabulary_size": "5"}, "vocabulary_size='5'"),
    (MaskedLMHead, {"vocabulary_size": 5, "norm_epsilon": 0}, "epsilon=0"),
    (MaskedLMHead, {"vocabulary_size": 5, "activation": "no"}, "activation='no'"),
]


@pytest.mark.parametrize(("kind", "arguments", "received"), WRONG_ARGUMENTS, ids=str)
def test_wrong_arguments_are_refused(kind, arguments, received):
    is_type = received in ("num_classes=2.0", "num_heads=2.0", "intermediate_dim=4.0")
    is_type |= received in ("vocabulary_size='3'", "vocabulary_size='5'", "max_sequence_length=2.5")
    with pytest.raises(TypeError if is_type else ValueError, match=f"Received: .*{received}"):
        kind(**arguments)
