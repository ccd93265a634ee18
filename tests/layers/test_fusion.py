"""Functions that XLA compiles in training, against the same ones as plain ops."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from lmzoo import tensorflow_ops
from lmzoo.layers import FeedForward, fusion
from tests.layers import reference

# A text of 8 tokens with 16 numbers each is as large as a function must be.
SIZE = 8 * 16


@pytest.fixture
def compiles(monkeypatch):
    """Lowers the size from which functions are compiled; gives a list of those that were."""
    compiled, compile_one = [], tensorflow_ops.compile_elementwise

    def record(function, dtype):
        compiled.append(function)
        return compile_one(function, dtype)

    monkeypatch.setattr(fusion, "_MIN_SIZE", SIZE)
    monkeypatch.setattr(tensorflow_ops, "compile_elementwise", record)
    return compiled


def make_layer(dtype, **options):
    layer = FeedForward(16, dtype=dtype, **options)
    layer.build((None, None, 8))
    return reference.randomise(layer)


def differentiate(layer, hidden, training=True):
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        output = layer(hidden, training=training)
        loss = tf.reduce_sum(tf.sin(3 * tf.cast(output, tf.float64)))
    return output, *tape.gradient(loss, [hidden, *layer.trainable_variables])


KINDS = [{"activation": name} for name in ("gelu", "gelu_tanh", "silu", "relu", "softmax")]
KINDS += [{"activation": "silu", "gated": True}]


def gelu(x):
    return x * (1 + scipy.special.erf(x / np.sqrt(2))) / 2


def gelu_tanh(x):
    return x * scipy.special.expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


# The functions of the kinds, in float64.
FUNCTIONS = [gelu, gelu_tanh, lambda x: x * scipy.special.expit(x), lambda x: np.maximum(x, 0)]
FUNCTIONS += [lambda x: scipy.special.softmax(x, -1), lambda x, y: x * scipy.special.expit(x) * y]
FUNCTIONS = {str(kind): function for kind, function in zip(KINDS, FUNCTIONS, strict=True)}


@pytest.mark.quick("True-float64-*", "False-float32-*gelu_tanh*", "False-float32-*gated*")
@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("traced", [False, True])
def test_outputs_and_gradients_are_those_of_plain_ops(options, dtype, tolerance, traced, compiles):
    layer = make_layer(dtype, **options)
    hidden = tf.constant(np.random.default_rng(1).normal(size=(3, 8, 8)), dtype)
    expected = differentiate(layer, hidden, training=False)
    assert not compiles
    # The number of texts need not be known.
    spec = tf.TensorSpec([None, 8, 8], dtype)
    run = tf.function(differentiate, reduce_retracing=False) if traced else differentiate
    got = run.get_concrete_function(layer, spec)(hidden) if traced else run(layer, hidden)
    assert len(compiles) == 1
    for one, other in zip(got, expected, strict=True):
        # Gradients are sums whose terms cancel.
        scale = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_half_precision_is_rounded_once_for_all_ops(options, compiles, monkeypatch):
    calls, compile_one = [], tensorflow_ops.compile_elementwise

    def record(function, dtype):
        compiled = compile_one(function, dtype)

        def call(*tensors):
            calls.append((function, tensors, compiled(*tensors)))
            return calls[-1][-1]

        return call

    monkeypatch.setattr(tensorflow_ops, "compile_elementwise", record)
    layer = make_layer("mixed_bfloat16", **options)
    hidden = tf.cast(np.random.default_rng(1).normal(size=(3, 8, 8)), tf.bfloat16)
    assert layer(hidden, training=True).dtype == tf.bfloat16
    [(function, tensors, output)] = calls
    assert {one.dtype for one in (*tensors, output)} == {tf.bfloat16}
    given = [np.array(one, "float64") for one in tensors]
    expected = np.array(FUNCTIONS[str(options)](*given))
    # Half of the distance between neighbours, and what float32 cancels.
    np.testing.assert_allclose(np.array(output, "float64"), expected, rtol=2**-8, atol=1e-6)
    assert function in compiles


def test_float32_output_holds_what_float16_does_not(compiles):
    layer = FeedForward(16, "relu", gated=True, float32_output=True, dtype="mixed_float16")
    hidden = tf.fill([1, 8, 8], tf.constant(200.0, tf.float16))
    layer.build(hidden.shape)
    for weight in layer.weights:
        weight.assign(tf.fill(weight.shape, 0.25 if "bias" not in weight.path else 0.0))
    # 400 times 400 is beyond 65,504.
    expected = 400.0 * 400 * 16 * 0.25
    for training in (False, True):
        output = layer(hidden, training=training)
        assert output.dtype == tf.float32
        np.testing.assert_allclose(output, np.full(output.shape, expected), rtol=1e-6)
    assert len(compiles) == 1


def test_only_training_on_one_device_with_large_texts_compiles(compiles):
    layer = make_layer("float32")
    hidden = tf.ones([1, 8, 8])
    layer(hidden)
    layer(hidden, training=False)
    layer(hidden[:, :7], training=True)
    length = tf.TensorSpec([1, None, 8], tf.float32)
    tf.function(lambda given: layer(given, training=True)).get_concrete_function(length)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        layer(hidden, training=True)
    assert not compiles
    layer(hidden, training=True)
    assert len(compiles) == 1


def test_what_is_exported_has_no_function_that_xla_must_compile(compiles):
    layer = make_layer("float32")
    spec = tf.TensorSpec([1, 8, 8], tf.float32)
    exported = tf.function(lambda given: layer(given)).get_concrete_function(spec)
    trained = tf.function(lambda given: layer(given, training=True)).get_concrete_function(spec)
    assert "_XlaMustCompile" not in str(exported.graph.as_graph_def())
    # The check can fail.
    assert "_XlaMustCompile" in str(trained.graph.as_graph_def())
