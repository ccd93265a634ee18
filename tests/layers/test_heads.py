"""The heads against their formulas, and what they do with the backbone's table."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import ClassificationHead, MaskedLMHead
from tests.layers import reference

RANDOM = np.random.default_rng(12)
HIDDEN, EMBEDDINGS = RANDOM.normal(size=(3, 5, 8)), RANDOM.normal(size=(11, 8))


def make_head(kind, dtype="float64", **options):
    head = kind(**options, dtype=dtype)
    head.build((None, None, 8))
    return reference.randomise(head), reference.weights_of(head)


@pytest.mark.parametrize("hidden", [HIDDEN, HIDDEN[:, 0]], ids=["tokens", "texts"])
@pytest.mark.parametrize("activation", [None, "tanh", "relu", "gelu"])
def test_a_classification_head_is_the_formula(hidden, activation):
    head, weights = make_head(ClassificationHead, num_classes=3, hidden_activation=activation)
    expected = hidden
    if activation is not None:
        expected = reference.ACTIVATIONS[activation](reference.dense(hidden, weights, "hidden"))
    expected = reference.dense(expected, weights, "output")
    assert len(weights) == (2 if activation is None else 4)
    np.testing.assert_allclose(head(hidden), expected, rtol=0, atol=1e-12)


def test_a_classification_head_with_a_norm_is_the_formula():
    head, weights = make_head(
        ClassificationHead,
        num_classes=3,
        hidden_activation="gelu",
        use_hidden_bias=False,
        hidden_norm_epsilon=1e-3,
    )
    assert weights.keys() == {"hidden/kernel", "hidden_norm/gamma", "output/kernel", "output/bias"}
    bent = reference.gelu(HIDDEN @ weights["hidden/kernel"])
    normed = reference.layer_norm(bent, weights["hidden_norm/gamma"], 0.0, 1e-3)
    expected = reference.dense(normed, weights, "output")
    np.testing.assert_allclose(head(HIDDEN), expected, rtol=0, atol=1e-12)


def test_a_norm_without_a_hidden_layer_is_refused():
    with pytest.raises(ValueError, match="hidden_norm_epsilon=0.001"):
        ClassificationHead(3, hidden_norm_epsilon=0.001)


def test_a_masked_language_models_head_without_biases_is_the_formula():
    head, weights = make_head(MaskedLMHead, vocabulary_size=11, use_bias=False)
    assert weights.keys() == {"dense/kernel", "norm/gamma", "bias"}
    bent = reference.gelu(HIDDEN @ weights["dense/kernel"])
    normed = reference.layer_norm(bent, weights["norm/gamma"], 0.0, 1e-12)
    expected = normed @ EMBEDDINGS.T + weights["bias"]
    np.testing.assert_allclose(head(HIDDEN, EMBEDDINGS), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
def test_a_masked_language_models_head_is_the_formula(activation, epsilon):
    head, weights = make_head(
        MaskedLMHead, vocabulary_size=11, activation=activation, norm_epsilon=epsilon
    )
    bent = reference.ACTIVATIONS[activation](reference.dense(HIDDEN, weights, "dense"))
    normed = reference.norm(bent, weights, "norm", "layer_norm", epsilon)
    expected = normed @ EMBEDDINGS.T + weights["bias"]
    np.testing.assert_allclose(head(HIDDEN, EMBEDDINGS), expected, rtol=0, atol=1e-12)


def test_a_head_meets_embeddings_of_another_width():
    head = MaskedLMHead(vocabulary_size=11, dtype="float64")
    embeddings = RANDOM.normal(size=(11, 3))
    head.build(HIDDEN.shape, embeddings.shape)
    weights = reference.weights_of(reference.randomise(head))
    bent = reference.gelu(reference.dense(HIDDEN, weights, "dense"))
    normed = reference.norm(bent, weights, "norm", "layer_norm", 1e-12)
    expected = normed @ embeddings.T + weights["bias"]
    np.testing.assert_allclose(head(HIDDEN, embeddings), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16"])
def test_a_variable_is_taken_for_a_table_in_half_precision(policy):
    head, _ = make_head(MaskedLMHead, policy, vocabulary_size=11)
    table = keras.Variable(EMBEDDINGS, dtype=head.variable_dtype)
    logits = head(HIDDEN, table)
    assert logits.dtype == "float32"
    exact, _ = make_head(MaskedLMHead, vocabulary_size=11)
    expected = exact(HIDDEN, EMBEDDINGS).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-2 * np.abs(expected).max())


def test_the_table_learns_through_the_head():
    head, _ = make_head(MaskedLMHead, vocabulary_size=11)
    table = tf.Variable(EMBEDDINGS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(HIDDEN, table) ** 2)
    assert np.abs(tape.gradient(loss, table)).min() > 0


def test_dropout_acts_in_training_alone():
    head, _ = make_head(ClassificationHead, num_classes=3, dropout=0.5)
    plain = head(HIDDEN)
    np.testing.assert_array_equal(plain, head(HIDDEN, training=False))
    assert np.abs(plain - head(HIDDEN, training=True)).max() > 1e-3
