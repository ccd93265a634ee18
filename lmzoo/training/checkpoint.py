"""`Checkpoint`: a callback of `fit` by which a run that was killed goes on where it was."""

import contextlib
import numbers
import os
import signal
import sys
import time
import warnings

import keras
import numpy as np

from lmzoo.data.checks import check_at_least
from lmzoo.files import looks_like_model
from lmzoo.keras_seams import (
    build_metrics,
    forget_fit_start,
    holds_averages,
    name_missing_logs,
    start_fit_at,
)
from lmzoo.training.averages import averaged_weights, raw_weights
from lmzoo.training.checkpoint_state import (
    check_finite,
    describe_run,
    find_differences,
    list_memory,
    restore_memory,
    restore_variables,
    snapshot_variables,
)
from lmzoo.training.checkpoint_store import open_store
from lmzoo.training.save_points import SavePoints

__all__ = ["Checkpoint"]


class Checkpoint(keras.callbacks.Callback):
    """Saves a run so that the same script, run again, goes on as if it had never been stopped.

    A checkpoint has weights, optimizer, seeds, metrics, the place in the data and what the other
    callbacks remember. It is copied to host memory, which is kept for the next one, and written by
    a thread. Where it begins anew, `fit` takes the newest whole checkpoint of `folder`, and goes on
    with the very next step. On the same machine its losses and weights are then bit for bit those
    of an uninterrupted run. Datasets of `lmzoo.data`, and texts given to `fit`, go on at the step;
    another `tf.data` pipeline goes on at the next epoch. SIGTERM and SIGINT (Ctrl-C) save and end.
    With several workers the chief writes and decides when, a signal to one ends all, and all must
    see the same `folder`.

    Args:
        folder: str or path. Of this run alone. It gets `step-000001200/` for each checkpoint, and
            `best/`.
        every_steps: int or None. Save after so many steps.
        every_seconds: float or None. Save when so many seconds have passed since the last save.
        keep: int. How many of the newest checkpoints stay.
        monitor: str or None. The value whose best epoch is kept as `best/`, in Hugging Face's
            layout, which `lmzoo.load` opens. An epoch without this value is passed over.
        mode: "min" or "max". Whether the best value is the lowest or the highest.
        verbose: bool. Whether to say on stderr where a run goes on.
    Attributes:
        seconds: float. How long training has waited for checkpoints since `fit` began.
    Raises:
        RuntimeError: in `fit`, if another process writes to `folder`, or not all workers see it.
        TypeError: if an argument is of the wrong type.
        ValueError: if an argument is out of its range; in `fit`, if `folder` has a run of another
            configuration, or no whole checkpoint among damaged ones.
        FloatingPointError: in `fit`, if the loss or the gradient of a step is not finite. It names
            the step, the samples and, for an optimizer of `lmzoo.training`, the replica. The last
            checkpoint, from before it, stays.
    Example:
        lm.fit(data, epochs=3, callbacks=[lmzoo.training.Checkpoint("runs/gpt/checkpoints")])
    """

    def __init__(
        self,
        folder,
        every_steps=None,
        every_seconds=60,
        keep=3,
        monitor="val_loss",
        mode="min",
        verbose=True,
    ):
        super().__init__()
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(f"`folder` must be a str or a path. Received: folder={folder!r}.")
        if every_steps is not None:
            check_at_least(1, every_steps=every_steps)
        check_at_least(1, keep=keep)
        if every_seconds is not None:
            if isinstance(every_seconds, bool) or not isinstance(every_seconds, numbers.Real):
                raise TypeError(
                    "`every_seconds` must be a number or None. Received: "
                    f"every_seconds={every_seconds!r}."
                )
            if not every_seconds >= 0:
                raise ValueError(
                    "`every_seconds` must be at least 0. Received: "
                    f"every_seconds={every_seconds!r}."
                )
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"`monitor` must be a str or None. Received: monitor={monitor!r}.")
        if mode not in ("min", "max"):
            raise ValueError(f'`mode` must be "min" or "max". Received: mode={mode!r}.')
        self.folder = folder
        self.every_steps = every_steps
        self.every_seconds = every_seconds
        self.keep = keep
        self.monitor = monitor
        self.mode = mode
        self.verbose = verbose
        self._cursor, self._others, self._repeats, self._validation = None, [], False, None
        self._store, self._save_points, self._snapshot = None, None, None
        self.seconds = 0.0

    def prepare(self, cursor, others, repeats, validation=None):
        """Tells the callback what `fit` is about to read; `lmzoo.tasks.Task.fit` calls it.

        Args:
            cursor: lmzoo.data.pipeline.Cursor or None, of the data.
            others: list of the other callbacks of `fit`.
            repeats: bool. Whether one iteration of the data goes on over all epochs.
            validation: callable or None. Takes the number of an epoch, and makes the next
                validation that of this epoch.
        """
        self._cursor, self._others, self._repeats = cursor, others, repeats
        self._validation = validation

    # Beginning

    def on_train_begin(self, logs=None):
        self.seconds = 0.0
        strategy = self.model.distribute_strategy
        self._is_chief = strategy.extended.should_checkpoint
        self._save_points = SavePoints(strategy, self.every_steps, self.every_seconds)
        self._begin()
        self._save_points.begin(self._num_steps)

    def _begin(self):
        steps = self.params.get("steps")
        # Without a cursor nobody knows how many steps there were before an epoch.
        self._steps_per_epoch = steps if self._cursor is not None else None
        self._description = describe_run(
            self.model,
            {"steps_per_epoch": steps, "num_steps": getattr(self._cursor, "num_steps", None)},
        )
        self._epoch, self._step, self._num_steps = 0, 0, 0
        self._best, self._epochs, self._has_begun = None, [], False
        self._epoch_metrics, self._log_names = None, []
        self._store, self._resumed = open_store(
            self.model.distribute_strategy, self.folder, self.keep
        )
        if self._resumed is not None:
            self._go_on(*self._resumed)

    def _go_on(self, number, arrays, record):
        differences = find_differences(record["run"], self._description)
        if differences:
            raise ValueError(
                "`folder` must hold checkpoints of a run with the same configuration. Received: "
                f"folder={str(self.folder)!r}, which differs in {'; '.join(differences[:5])}. "
                "Choose another folder, or change it back."
            )
        build_metrics(self.model)
        restore_variables(self.model, arrays, ("model", "optimizer"))
        self._epoch, self._step = record["epoch"], record["step"]
        self._num_steps, self._best = number, record["best"]
        self._epochs = record["epochs"]
        start_fit_at(self.model, self._epoch, self._step)
        place = f", step {self._step}" if self._step else ""
        self._say(f"Going on after step {number}, in epoch {self._epoch + 1}{place}.")

    def on_epoch_begin(self, epoch, logs=None):
        resumes = self._resumed is not None and epoch == self._epoch
        if not resumes:
            self._epoch, self._step = epoch, 0
        is_first, self._has_begun = not self._has_begun, True
        if is_first and not resumes:
            # Other callbacks, and `initial_epoch`, may begin at a later epoch.
            self._num_steps = epoch * (self._steps_per_epoch or 0)
            self._save_points.note_save(self._num_steps)
        if self._cursor is not None and (is_first or not self._repeats):
            self._cursor.go_to(epoch * self._steps_per_epoch + self._step)
        if self._validation is not None and is_first:
            self._validation(epoch)
        if not resumes:
            return
        _, arrays, record = self._resumed
        self._resumed = None
        # `fit` resets metrics and callbacks before this.
        if self._step:
            restore_variables(self.model, arrays, ("metrics",))
            name_missing_logs(self.model, record["log_names"])
        without = restore_memory(self._others, record["callbacks"], arrays)
        if without:
            warnings.warn(f"New callbacks begin anew: {', '.join(without)}.", stacklevel=2)
        self._restore_history()

    def _restore_history(self):
        history = self.model.history
        history.epoch = [epoch for epoch, _ in self._epochs]
        for _, logs in self._epochs:
            for name, value in logs.items():
                history.history.setdefault(name, []).append(value)

    # Going on

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1 - self._step
        self._step, self._num_steps = batch + 1, self._num_steps + done
        self._check_finite(logs or {})
        self._log_names = list(logs or {})
        self._store.raise_failure()
        # The last step of an epoch is saved after validation, with the numbers of the epoch.
        if self._step == self.params.get("steps"):
            return
        may_save = self._cursor is not None and not self._store.is_writing()
        is_due = self._save_points.ask(self._num_steps, may_save)
        if self._save_points.signal is not None:
            self._end_for_signal()
        if is_due:
            self._save(self._epoch, self._step)

    def _check_finite(self, logs):
        """Raises if the step made a loss or a gradient that is not finite."""
        optimizer, found = self.model.optimizer, {}
        if "loss" in logs:
            found["loss"] = float(logs["loss"])
        if hasattr(optimizer, "gradient_norm"):
            # A loss scale skips a step whose gradient overflows, so it has none.
            found["norm of the gradient"] = float(optimizer.gradient_norm.numpy())
        bad = [f"a {name} of {value}" for name, value in found.items() if not np.isfinite(value)]
        if not bad:
            return
        text = f"in step {self._step - 1} of epoch {self._epoch}, step {self._num_steps - 1}"
        raise FloatingPointError(
            f"Loss and gradient must be finite. Received: {' and '.join(bad)} {text} of the run"
            f"{self._name_samples()}. Look for NaN or infinity in weights, data and the learning "
            f"rate. The newest checkpoint, from before it: {self._name_newest()}."
        )

    def _name_samples(self):
        """Where a number that is not finite came from, as far as it is known."""
        replica = int(getattr(self.model.optimizer, "bad_replica", np.zeros(())))
        num_replicas = self.model.distribute_strategy.num_replicas_in_sync
        text = f", on replica {replica - 1} of {num_replicas}" if replica else ""
        samples = None
        if self._cursor is not None and self.model.steps_per_execution == 1:
            num_done = self._epoch * self._steps_per_epoch + self._step - 1
            samples = self._cursor.find_samples(num_done)
        if samples is None:
            return text
        if replica:
            # Each replica has as many rows as the first, the last one what is left.
            size = -(-len(samples) // num_replicas)
            samples = samples[(replica - 1) * size : replica * size]
        return f"{text}, in one of the samples {', '.join(str(one) for one in samples)}"

    def on_test_begin(self, logs=None):
        # Validation begins by resetting metrics. A signal in it saves what they were before.
        if self._store is not None and self._cursor is not None:
            self._epoch_metrics = snapshot_variables(self.model, ("metrics",))

    def on_test_batch_end(self, batch, logs=None):
        if self._store is None:
            return
        self._save_points.ask(self._num_steps, may_save=False)
        if self._save_points.signal is not None:
            self._end_for_signal()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self._epochs.append([epoch, logs])
        self._keep_best(logs)
        self._step, self._epoch_metrics = 0, None
        self._epoch = epoch + 1
        is_last = self._epoch == self.params.get("epochs") or self.model.stop_training
        may_save = not self._store.is_writing()
        is_due = self._save_points.ask(self._num_steps, may_save, ends_epoch=True)
        has_signal = self._save_points.signal is not None
        if is_last or self._cursor is None or is_due or has_signal:
            self._save(self._epoch, 0)
        if has_signal:
            self._end_for_signal()

    def on_train_end(self, logs=None):
        if self._resumed is not None:
            # The run was complete, so `fit` had nothing to do.
            self._restore_history()
        self._wait()
        self.close()

    # Saving

    def _save(self, epoch, step):
        # The writer reads the memory of the last snapshot.
        self._wait()
        begun = time.monotonic()
        # A signal may come while validation has the averages.
        with raw_weights(self.model):
            self._snapshot = snapshot_variables(self.model, into=self._snapshot)
        arrays = self._snapshot | (self._epoch_metrics or {})
        if not hasattr(self.model.optimizer, "gradient_norm"):
            # The gradient of this step may have spoilt weights, before a loss shows it.
            check_finite(arrays)
        memories, callback_arrays = list_memory(self._others)
        record = {
            "epoch": epoch,
            "step": step,
            "run": self._description,
            "callbacks": memories,
            "best": self._best,
            "epochs": list(self._epochs),
            "log_names": self._log_names,
        }
        self._save_points.note_save(self._num_steps)
        self.seconds += time.monotonic() - begun
        if not self._is_chief:
            return
        self._store.write_later(self._num_steps, arrays | callback_arrays, record)

    def _wait(self):
        begun = time.monotonic()
        self._store.wait()
        self.seconds += time.monotonic() - begun

    def _keep_best(self, logs):
        value = logs.get(self.monitor)
        if value is None or value != value:
            return
        is_better = self._best is None or (
            value < self._best if self.mode == "min" else value > self._best
        )
        if not is_better:
            return
        self._best = value
        if self._is_chief:
            folder = self._store.folder / "best"
            if not folder.exists() or looks_like_model(folder):
                has_averages = any(map(holds_averages, self._others))
                with contextlib.nullcontext() if has_averages else averaged_weights(self.model):
                    self.model.save_pretrained(folder, overwrite=True)

    # Ending

    def _end_for_signal(self):
        """Saves at once, and ends as the signal would have."""
        self._wait()
        if self._cursor is not None and self._step:
            self._save(self._epoch, self._step)
        newest = self._name_newest()
        self.close()
        name = signal.Signals(self._save_points.signal).name
        self._say(f"Ended by {name}, saved as {newest}.")
        self._save_points.end()

    def close(self):
        """Waits for the writer, frees the folder, and puts the handlers of signals back.

        `lmzoo.tasks.Task.fit` calls it however it ends. A second call does nothing.
        """
        if self._save_points is not None:
            self._save_points.close()
        if self._store is None:
            return
        self._store.close()
        self._store, self._snapshot = None, None
        forget_fit_start(self.model)

    def _name_newest(self):
        self._wait()
        steps = self._store.list_steps()
        return str(self._store.path_of(steps[-1])) if steps else "there is none"

    def _say(self, text):
        verbose = self.verbose and self._is_chief
        if verbose:
            print(text, file=sys.stderr)
