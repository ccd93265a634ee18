"""Moving averages of weights: what they are, and where they are evaluated and saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.training import AdamW, Checkpoint, averaged_weights

MOMENTUM = 0.8
IDS = np.random.default_rng(0).integers(3, 50, (12, 9))
DATA = tf.data.Dataset.from_tensor_slices(({"token_ids": IDS[:, :-1]}, IDS[:, 1:])).batch(4)


class Recorder(keras.callbacks.Callback):
    is_stateless = True

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append([weight.numpy() for weight in self.model.trainable_weights])


def make_lm(**options):
    keras.utils.set_random_seed(1)
    lm = CausalLM(GPTBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0))
    lm.compile(AdamW(1e-2, **options))
    return lm


def compute_averages(steps):
    """The average after each step, in float64; the first step begins it."""
    averages = [np.asarray(weight, "float64") for weight in steps[0]]
    yield averages
    for weights in steps[1:]:
        averages = [
            MOMENTUM * average + (1 - MOMENTUM) * weight
            for average, weight in zip(averages, weights, strict=True)
        ]
        yield averages


def evaluate(weights):
    lm = make_lm()
    for variable, value in zip(lm.trainable_weights, weights, strict=True):
        variable.assign(value)
    return lm.evaluate(DATA, verbose=0, return_dict=True)["loss"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    lm, recorder = make_lm(use_ema=True, ema_momentum=MOMENTUM), Recorder()
    callbacks = [recorder, Checkpoint(folder, every_steps=1)]
    history = lm.fit(DATA, epochs=2, verbose=0, validation_data=DATA, callbacks=callbacks)
    return lm, history.history, list(compute_averages(recorder.steps)), folder


def test_validation_has_the_averages_and_so_has_the_task_after_fit(trained):
    lm, history, averages, _ = trained
    for epoch, loss in enumerate(history["val_loss"]):
        assert loss == pytest.approx(evaluate(averages[3 * epoch + 2]), rel=1e-6)
    for weight, average in zip(lm.trainable_weights, averages[-1], strict=True):
        np.testing.assert_allclose(weight.numpy(), average, rtol=1e-5, atol=1e-7)


def test_the_best_checkpoint_holds_the_averages_that_were_evaluated(trained):
    _, history, _, folder = trained
    best = lmzoo.load(folder / "best")
    loss = best.evaluate(DATA, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-6)


@pytest.mark.slow
def test_within_the_block_a_task_has_averages_and_after_it_its_weights():
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            before = self.model.trainable_weights[0].numpy()
            with averaged_weights(self.model):
                seen.append(self.model.trainable_weights[0].numpy())
                with averaged_weights(self.model):
                    np.testing.assert_array_equal(self.model.trainable_weights[0], seen[-1])
            np.testing.assert_array_equal(self.model.trainable_weights[0], before)

    lm, recorder = make_lm(use_ema=True, ema_momentum=MOMENTUM), Recorder()
    lm.fit(DATA, verbose=0, callbacks=[recorder, Look()])
    for found, averages in zip(seen, compute_averages(recorder.steps), strict=True):
        np.testing.assert_allclose(found, averages[0], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_beside_the_callback_of_keras_they_are_swapped_once(trained):
    lm = make_lm(use_ema=True, ema_momentum=MOMENTUM)
    swap = keras.callbacks.SwapEMAWeights()
    history = lm.fit(DATA, epochs=2, verbose=0, validation_data=DATA, callbacks=[swap])
    np.testing.assert_allclose(history.history["val_loss"], trained[1]["val_loss"], rtol=1e-6)


def test_without_averages_nothing_changes():
    lm = make_lm()
    before = lm.trainable_weights[0].numpy()
    with averaged_weights(lm):
        np.testing.assert_array_equal(lm.trainable_weights[0], before)
