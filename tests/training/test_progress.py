"""What the progress bar says of a run."""

import sys

import keras
import numpy as np
import pytest

from lmzoo.training import RichProgress


def train(progress, epochs=2):
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    x = np.ones((8, 1), "float32")
    model.fit(x, x, batch_size=2, epochs=epochs, verbose=0, callbacks=[progress])


def test_without_a_terminal_the_last_step_is_a_line(capsys):
    train(RichProgress(tokens_per_step=10))
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("Training: step 8/8, loss ")
    assert "tokens/s" in line


def test_the_loss_is_that_of_the_last_steps_and_not_the_mean_over_the_epoch(capsys):
    progress = RichProgress()
    progress.set_params({"steps": 40, "epochs": 1})
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    losses = [8.0] * 10 + [2.0] * 30
    for step in range(40):
        progress.on_train_batch_end(step, {"loss": np.mean(losses[: step + 1])})
    loss = float(capsys.readouterr().err.split("loss ")[1].split(",")[0])
    assert loss == pytest.approx(2 + 6 * 0.9**30, abs=1e-3)


def test_a_terminal_gets_a_bar_that_is_taken_down_when_fit_raises(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ArithmeticError("stop")

    with pytest.raises(ArithmeticError, match="stop"), RichProgress() as progress:
        progress.set_params({"steps": 2, "epochs": 1})
        progress.on_train_begin()
        assert progress._bar is not None
        Stop().on_train_batch_end(0)
    assert progress._bar is None
    assert "Training" in capsys.readouterr().err
