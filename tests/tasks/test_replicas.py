"""What a loss is a mean of; over two devices, the distribution tests compare it with one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tasks.losses import count_terms, sum_over_replicas

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 50, (8, 16))
INPUTS = {
    "token_ids": RANDOM.integers(0, 50, (8, 16)),
    "padding_mask": np.ones((8, 16), bool),
}
# Rows with no, with few and with heavy tokens.
WEIGHTS = (RANDOM.random((8, 16)) < 0.4) * RANDOM.integers(0, 5, (8, 1)).astype("float32")


def make_task(loss="auto"):
    keras.utils.set_random_seed(0)
    lm = CausalLM(GPTBackbone(50, 1, 2, 8, max_sequence_length=16))
    lm.compile(loss=loss)
    return lm


def compute_losses(lm):
    """(B, T), by the definition."""
    logits = lm(INPUTS).numpy().astype("float64")
    log_total = np.log(np.exp(logits).sum(-1))
    return log_total - np.take_along_axis(logits, LABELS[..., None], -1)[..., 0]


@pytest.mark.quick("3")
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_loss_is_the_mean_over_tokens_whatever_the_batches(batch_size):
    lm = make_task()
    expected = (compute_losses(lm) * WEIGHTS).sum() / WEIGHTS.sum()
    loss, perplexity = lm.evaluate(
        INPUTS, LABELS, sample_weight=WEIGHTS, batch_size=batch_size, verbose=0
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    assert perplexity == pytest.approx(np.exp(expected), rel=1e-4)


def test_a_mean_over_rows_stays_one():
    lm = make_task(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = compute_losses(lm) * WEIGHTS
    loss, _ = lm.evaluate(INPUTS, LABELS, sample_weight=WEIGHTS, batch_size=3, verbose=0)
    assert loss == pytest.approx(losses.mean(), rel=1e-5)


def test_a_sum_is_left_as_keras_has_it():
    lm = make_task(keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"))
    loss, _ = lm.evaluate(INPUTS, LABELS, batch_size=4, verbose=0)
    assert loss == pytest.approx(compute_losses(lm).sum() / 2, rel=1e-5)


def test_losses_of_layers_alone_are_left_as_keras_has_them():
    assert count_terms(None, None, None) is None


def test_the_loss_is_listed_once_however_often_a_task_is_compiled():
    lm = make_task()
    for _ in range(2):
        assert lm.metrics_names == ["loss", "perplexity"]
        assert len(lm.evaluate(INPUTS, LABELS, verbose=0)) == 2
        lm.compile()


def test_what_is_counted_are_weights_tokens_or_rows():
    means = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    labels, weights = tf.zeros((3, 4)), tf.constant([0.5, 2.0, 0.0])
    assert count_terms(means, labels, weights) == 2.5
    assert count_terms(means, labels, None) == 12
    assert count_terms(means, [labels, labels], [weights, weights]) == 5
    assert count_terms("mse", labels, weights) == 3
    assert count_terms(keras.losses.MeanSquaredError(reduction="sum"), labels, weights) is None


def test_outside_of_replicas_a_sum_is_its_own():
    assert sum_over_replicas(3.0) == (3.0, 1)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert sum_over_replicas(3.0) == (3.0, 1)
