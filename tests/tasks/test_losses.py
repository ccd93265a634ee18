"""The losses of tasks against their definitions in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, T5Backbone
from lmzoo.tasks import (
    Seq2SeqLM,
    SimilarityLoss,
    TextClassifier,
    TextRegressor,
    TokenCrossentropy,
)
from lmzoo.tasks.losses import compute_similarities, rank_candidates

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 7, (3, 5))
LOGITS = RANDOM.normal(0, 3, (3, 5, 7)).astype("float32")


def compute(label_smoothing, z_loss):
    """(B, T) of losses, from the definition: cross-entropy to a mixture with the even spread."""
    logits = LOGITS.astype("float64")
    total = np.log(np.exp(logits).sum(-1, keepdims=True))
    target = np.eye(7)[LABELS] * (1 - label_smoothing) + label_smoothing / 7
    return -(target * (logits - total)).sum(-1) + z_loss * total[..., 0] ** 2


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("z_loss", [0.0, 1e-4, 0.5])
def test_smoothing_and_z_loss_are_their_definitions(label_smoothing, z_loss):
    loss = TokenCrossentropy(label_smoothing, z_loss)
    wanted = compute(label_smoothing, z_loss)
    np.testing.assert_allclose(loss.call(LABELS, LOGITS), wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss(LABELS, LOGITS), wanted.mean(), rtol=1e-5)


def test_the_mean_is_over_the_tokens_that_count():
    weights = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [2, 1, 1, 1, 1]], "float32")
    wanted = (compute(0.1, 1e-4) * weights).sum() / weights.sum()
    loss = TokenCrossentropy(0.1, 1e-4)(LABELS, LOGITS, sample_weight=weights)
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_the_config_makes_the_same_loss():
    loss = TokenCrossentropy(0.1, 1e-4)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert twin.get_config() == loss.get_config()
    assert (twin.label_smoothing, twin.z_loss) == (0.1, 1e-4)


def test_compile_smooths_the_loss_that_a_task_makes():
    backbone = BertBackbone(50, 1, 2, 8, max_sequence_length=8)
    task = TextClassifier(backbone, num_classes=7)
    task.compile(label_smoothing=0.1, z_loss=1e-4)
    assert task.loss.reduction == "sum_over_batch_size"
    np.testing.assert_allclose(
        task.loss(LABELS[:, 0], LOGITS[:, 0]), compute(0.1, 1e-4)[:, 0].mean(), rtol=1e-5
    )
    task = Seq2SeqLM(T5Backbone(50, 1, 1, 2, 8, 4, 16), label_smoothing=0.1, z_loss=0.5)
    task.compile(z_loss=1e-4)
    weights = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [2, 1, 1, 1, 1]], "float32")
    wanted = (compute(0.1, 1e-4) * weights).sum() / weights.sum()
    np.testing.assert_allclose(task.loss(LABELS, LOGITS, sample_weight=weights), wanted, rtol=1e-5)


def test_compile_smooths_no_other_loss():
    backbone = BertBackbone(50, 1, 2, 8, max_sequence_length=8)
    with pytest.raises(ValueError, match=r"label_smoothing=0.1, with the loss 'mean_squared_error"):
        TextRegressor(backbone).compile(label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"z_loss=0.1, with the loss 'sparse_categorical"):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        TextClassifier(backbone, num_classes=7).compile(loss=loss, z_loss=0.1)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"z_loss": 1e-4}])
@pytest.mark.parametrize("label", [-100, 7])
def test_a_label_out_of_the_vocabulary_is_never_learnt(options, label):
    # -100 is what other libraries leave out by; from the end it would be another word.
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"label value of {label}"):
        TokenCrossentropy(**options)(np.array([[label]]), np.zeros([1, 1, 7], "float32"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("label_smoothing", value) for value in (-0.1, 1.0, float("nan"))),
        *(("z_loss", value) for value in (-1e-4, float("nan"), float("inf"))),
    ],
)
def test_a_number_out_of_its_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        TokenCrossentropy(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("label_smoothing", None), ("z_loss", "1e-4")])
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(TypeError, match=f"`{name}` must be a number. Received: {name}={value!r}"):
        TokenCrossentropy(**{name: value})


def rank_by_loops(embeddings, scale):
    """The loss of each anchor, in float64, pair by pair."""
    unit = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    candidates = [row for group in range(1, unit.shape[1]) for row in unit[:, group]]
    losses = []
    for index, anchor in enumerate(unit[:, 0]):
        powers = [np.exp(scale * float(anchor @ candidate)) for candidate in candidates]
        losses.append(-np.log(powers[index] / sum(powers)))
    return np.array(losses)


def compute_loss(embeddings, scale):
    return SimilarityLoss().call(*rank_candidates(embeddings, scale))


def test_three_pairs_by_hand():
    # The first two anchors are their positives; the third lies between the others.
    anchors = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    positives = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    half = np.sqrt(0.5)
    cosines = np.array([[1, 0, -half], [0, 1, -half], [half, half, -1]])
    labels, logits = rank_candidates(tf.constant(np.stack([anchors, positives], 1)), 2.0)
    np.testing.assert_array_equal(labels, [0, 1, 2])
    np.testing.assert_allclose(logits, 2 * cosines, atol=1e-12)
    wanted = [
        np.log(np.exp(2) + 1 + np.exp(-2 * half)) - 2,
        np.log(np.exp(2) + 1 + np.exp(-2 * half)) - 2,
        np.log(2 * np.exp(2 * half) + np.exp(-2)) + 2,
    ]
    np.testing.assert_allclose(SimilarityLoss().call(labels, logits), wanted, atol=1e-12)


@pytest.mark.parametrize("num_texts", [2, 3, 4])
def test_the_ranking_loss_is_its_formula(num_texts):
    embeddings = np.random.default_rng(num_texts).normal(size=(5, num_texts, 7))
    np.testing.assert_allclose(
        compute_loss(tf.constant(embeddings), 20.0), rank_by_loops(embeddings, 20.0), rtol=1e-9
    )


def test_the_gradient_is_that_of_small_steps():
    embeddings = np.random.default_rng(0).normal(size=(3, 3, 4))
    variable = tf.Variable(embeddings)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(compute_loss(variable, 5.0))
    gradient = tape.gradient(loss, variable).numpy()
    wanted, step = np.zeros_like(embeddings), 1e-6
    for place in np.ndindex(embeddings.shape):
        shift = np.zeros_like(embeddings)
        shift[place] = step
        up, down = (rank_by_loops(embeddings + s, 5.0).mean() for s in (shift, -shift))
        wanted[place] = (up - down) / (2 * step)
    np.testing.assert_allclose(gradient, wanted, atol=1e-8)


def test_similarities_are_cosines_and_their_loss_is_the_squared_error():
    embeddings = np.random.default_rng(1).normal(size=(6, 2, 5))
    wanted = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in embeddings]
    got = compute_similarities(tf.constant(embeddings))
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    labels = np.linspace(-1, 1, 6)
    loss = float(SimilarityLoss()(labels, got))
    assert loss == pytest.approx(np.mean((labels - wanted) ** 2), rel=1e-6)


def test_a_vector_of_zeros_has_a_finite_gradient():
    variable = tf.Variable(np.zeros((2, 2, 3)))
    with tf.GradientTape(persistent=True) as tape:
        ranking = tf.reduce_sum(compute_loss(variable, 20.0))
        cosines = tf.reduce_sum(compute_similarities(variable))
    assert np.isfinite(tape.gradient(ranking, variable)).all()
    assert np.isfinite(tape.gradient(cosines, variable)).all()


def test_a_replica_without_rows_has_no_loss():
    assert compute_loss(tf.zeros([0, 3, 4]), 20.0).shape == (0,)
