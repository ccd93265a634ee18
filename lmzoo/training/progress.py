"""A progress bar for `fit` with loss, tokens a second and time left."""

import sys
import time

import keras

__all__ = ["RichProgress"]

_SECONDS_A_LINE = 15.0
_DECAY = 0.9


class RichProgress(keras.callbacks.Callback):
    """A callback that shows step, loss, speed and time left on stderr.

    The loss is a moving average over about ten steps, whereas Keras shows the mean since the start
    of the epoch. Without a terminal it prints a plain line every 15 seconds. Used as a context
    manager, the bar is also removed if `fit` raises. It never hides the cursor.

    Args:
        tokens_per_step: int or None. B times T, to show tokens a second; None for steps a second.
        label: str. The text before the bar.
    Example:
        with lmzoo.training.RichProgress(tokens_per_step=16 * 256) as progress:
            lm.fit(data, verbose=0, callbacks=[progress])
    """

    # Nothing for `lmzoo.training.Checkpoint` to keep: it shows the process that it is in.
    is_stateless = True

    def __init__(self, tokens_per_step=None, label="Training"):
        super().__init__()
        self.tokens_per_step = tokens_per_step
        self.label = label
        self._bar = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Removes the bar; a second call does nothing."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_begin(self, logs=None):
        self.close()
        steps = self.params.get("steps")
        self._num_steps = steps * self.params.get("epochs", 1) if steps else None
        self._step, self._loss = 0, None
        self._begun, self._first = None, None
        self._last_line = time.monotonic()
        if sys.stderr.isatty():
            self._bar, self._task = _make_bar(self.label, self._num_steps)

    def on_epoch_begin(self, epoch, logs=None):
        self._mean = None
        # A run that goes on begins in an epoch of its own.
        self._epoch_start = epoch * self.params["steps"] if self._num_steps else self._step

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self._step = self._epoch_start + batch + 1
        if self._begun is None:
            # The first step is mostly tracing, so it is left out of the speed.
            self._begun, self._first = now, self._step
        if logs and "loss" in logs:
            self._add_loss(float(logs["loss"]), batch)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._step, info=self._describe(now))
        elif now - self._last_line >= _SECONDS_A_LINE or self._step == self._num_steps:
            self._last_line = now
            total = f"/{self._num_steps}" if self._num_steps else ""
            line = f"{self.label}: step {self._step}{total}, {self._describe(now)}\n"
            sys.stderr.write(line)
            sys.stderr.flush()

    def on_train_end(self, logs=None):
        self.close()

    def _add_loss(self, mean, batch):
        """Updates the moving average with the step's loss, computed from Keras's mean so far."""
        loss = mean if self._mean is None else mean * (batch + 1) - self._mean * batch
        self._mean = mean
        self._loss = loss if self._loss is None else _DECAY * self._loss + (1 - _DECAY) * loss

    def _describe(self, now):
        words = [] if self._loss is None else [f"loss {self._loss:.3f}"]
        if self._step > self._first and now > self._begun:
            steps_a_second = (self._step - self._first) / (now - self._begun)
            if self.tokens_per_step:
                words.append(f"{steps_a_second * self.tokens_per_step:,.0f} tokens/s")
            else:
                words.append(f"{steps_a_second:.2f} steps/s")
            if self._num_steps and self._bar is None:
                words.append(f"{(self._num_steps - self._step) / steps_a_second:.0f} s left")
        return ", ".join(words)


def _make_bar(label, num_steps):
    from rich import console, progress

    stderr = console.Console(stderr=True)
    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[info]}"),
        progress.TimeRemainingColumn(),
        console=stderr,
    )
    task = bar.add_task(label, total=num_steps, info="")
    bar.start()
    # A run that is killed must not leave a terminal without a cursor.
    stderr.show_cursor(True)
    return bar, task
