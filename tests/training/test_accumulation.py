"""Gradient accumulation: a batch in parts is the batch as a whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, GPTBackbone
from lmzoo.tasks import CausalLM, TextClassifier

IDS = np.random.default_rng(0).integers(1, 50, (16, 9))
# Rows of 1 to 8 tokens, so that equal parts have unequal numbers of them.
MASK = np.arange(8) < np.random.default_rng(1).integers(1, 9, (16, 1))


def make_lm():
    keras.utils.set_random_seed(1)
    backbone = GPTBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0)
    return CausalLM(backbone)


def train_lm(num_parts, batch_size=8):
    lm = make_lm()
    lm.compile(keras.optimizers.SGD(0.1), gradient_accumulation_steps=num_parts)
    inputs = {"token_ids": IDS[:, :-1], "padding_mask": MASK}
    data = tf.data.Dataset.from_tensor_slices((inputs, IDS[:, 1:], MASK.astype("float32")))
    history = lm.fit(data.batch(batch_size), epochs=2, verbose=0)
    return lm, history.history


@pytest.fixture(scope="module")
def whole():
    return train_lm(1)


@pytest.mark.quick("2")
@pytest.mark.parametrize("num_parts", [2, 4])
def test_parts_with_unequal_padding_make_the_step_of_the_whole_batch(whole, num_parts):
    (lm, history), (parts, part_history) = whole, train_lm(num_parts)
    for one, other in zip(lm.trainable_weights, parts.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert part_history["loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert int(parts.optimizer.iterations) == int(lm.optimizer.iterations) == 4


def test_the_control_of_equal_weights_for_parts_would_fail(whole):
    """The mean of the means of the parts, as Keras accumulates, is another gradient."""
    lm = make_lm()
    lm.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    inputs = {"token_ids": IDS[:, :-1], "padding_mask": MASK}
    data = tf.data.Dataset.from_tensor_slices((inputs, IDS[:, 1:], MASK.astype("float32")))
    lm.fit(data.batch(2), epochs=2, verbose=0)
    table, other = whole[0].trainable_weights[0].numpy(), lm.trainable_weights[0].numpy()
    assert np.abs(table - other).max() > 1e-4


def test_more_parts_than_rows_and_a_batch_that_does_not_divide():
    one, history = train_lm(1, batch_size=6)
    parts, part_history = train_lm(4, batch_size=6)
    np.testing.assert_allclose(
        one.trainable_weights[0], parts.trainable_weights[0], rtol=0, atol=1e-6
    )
    assert part_history["loss"] == pytest.approx(history["loss"], rel=1e-6)


def test_metrics_of_parts_are_those_of_the_batch():
    def train(num_parts):
        keras.utils.set_random_seed(1)
        backbone = BertBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0)
        task = TextClassifier(backbone, num_classes=2, dropout=0.0)
        task.compile(keras.optimizers.SGD(0.1), gradient_accumulation_steps=num_parts)
        inputs = {"token_ids": IDS[:, :-1], "padding_mask": MASK}
        data = tf.data.Dataset.from_tensor_slices((inputs, IDS[:, 0] % 2)).batch(8)
        return task.fit(data, epochs=2, verbose=0).history

    one, parts = train(1), train(4)
    assert set(one) == set(parts) >= {"loss", "accuracy"}
    for name in one:
        assert parts[name] == pytest.approx(one[name], rel=1e-6), name


def test_accumulation_is_kept_in_the_compile_config():
    lm = make_lm()
    lm.compile(gradient_accumulation_steps=3)
    assert lm.get_compile_config()["gradient_accumulation_steps"] == 3


@pytest.mark.parametrize("steps", [0, 1.5])
def test_accumulation_takes_a_positive_int(steps):
    with pytest.raises((TypeError, ValueError), match=f"gradient_accumulation_steps={steps}"):
        make_lm().compile(gradient_accumulation_steps=steps)
