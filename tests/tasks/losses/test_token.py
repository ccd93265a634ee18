"""The loss over tokens against its definition in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks.losses.token import TokenCrossentropy

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
