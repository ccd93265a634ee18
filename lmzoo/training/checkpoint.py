"""`Checkpoint`: a callback of `fit` by which a run that was killed goes on where it was."""

import contextlib
import signal
import sys
import threading
import time
import warnings

import keras
import tensorflow as tf

from lmzoo.files import looks_like_model
from lmzoo.keras_seams import build_metrics, forget_fit_start, start_fit_at
from lmzoo.training.checkpoint_state import (
    describe_run,
    find_differences,
    list_memory,
    restore_memory,
    restore_variables,
    snapshot_variables,
)
from lmzoo.training.checkpoint_store import CheckpointStore

__all__ = ["Checkpoint", "prepare_checkpoints"]


class Checkpoint(keras.callbacks.Callback):
    """Saves a run so that the same script, run again, goes on as if it had never been stopped.

    A checkpoint has weights, optimizer, seeds, metrics, the place in the data and what the other
    callbacks remember. It is copied to host memory and written by a thread. Where it begins anew,
    `fit` takes the newest whole checkpoint of `folder`, and goes on with the very next step. On the
    same machine its losses and weights are then bit for bit those of an uninterrupted run. Datasets
    of `lmzoo.data`, and texts given to `fit`, go on at the step; another `tf.data` pipeline goes on
    at the next epoch. SIGTERM and SIGINT (Ctrl-C) save and end. With several workers it was not
    tried.

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
        RuntimeError: in `fit`, if another process writes to `folder`.
        ValueError: if an argument is out of its range; in `fit`, if `folder` has a run of another
            configuration, or no whole checkpoint among damaged ones.
        FloatingPointError: in `fit`, if the loss of a step is not finite. The last checkpoint, from
            before it, stays.
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
        for name, value in (("every_steps", every_steps), ("keep", keep)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"`{name}` must be an int of at least 1. Received: {value!r}.")
        if every_seconds is not None and not every_seconds >= 0:
            raise ValueError(f"`every_seconds` must be at least 0. Received: {every_seconds!r}.")
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
        self._store = None
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
        self._writer, self._failure, self._signal, self._handlers = None, None, None, {}
        self._store = CheckpointStore(self.folder, self.keep, is_writer=self._is_chief())
        self._begin()
        self._handlers |= _listen((signal.SIGTERM, signal.SIGINT), self._note_signal)

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
        self._resumed = self._store.read_newest()
        if self._resumed is not None:
            self._go_on(*self._resumed)
        self._last_save = time.monotonic()

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
        _say(f"Going on after step {number}, in epoch {self._epoch + 1}{place}.", self.verbose)

    def on_epoch_begin(self, epoch, logs=None):
        resumes = self._resumed is not None and epoch == self._epoch
        if not resumes:
            self._epoch, self._step = epoch, 0
        is_first, self._has_begun = not self._has_begun, True
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
        if "loss" in (logs or {}) and not tf.math.is_finite(logs["loss"]):
            raise FloatingPointError(
                f"The loss must be finite. Received: {float(logs['loss'])} in step {batch} of "
                f"epoch {self._epoch}, step {self._num_steps - 1} of the run. The newest "
                f"checkpoint, from before it: {self._name_newest()}."
            )
        self._raise_failure()
        if self._signal is not None:
            self._end_for_signal()
        # The last step of an epoch is saved after validation, with the numbers of the epoch.
        if self._cursor is None or self._step == self._steps_per_epoch:
            return
        if self._is_due(done):
            self._save(self._epoch, self._step)

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self._epochs.append([epoch, logs])
        self._keep_best(logs)
        self._step = 0
        self._epoch = epoch + 1
        is_last = self._epoch == self.params.get("epochs") or self.model.stop_training
        if is_last or self._cursor is None or self._is_due(1) or self._signal is not None:
            self._wait()
            self._save(self._epoch, 0)
        if self._signal is not None:
            self._end_for_signal()

    def on_train_end(self, logs=None):
        if self._resumed is not None:
            # The run was complete, so `fit` had nothing to do.
            self._restore_history()
        self.close()
        self._raise_failure()

    # Saving

    def _is_due(self, num_new):
        if self._writer is not None and self._writer.is_alive():
            return False
        if self.every_steps and self._num_steps // self.every_steps != (
            (self._num_steps - num_new) // self.every_steps
        ):
            return True
        if self.every_seconds is None:
            return False
        return time.monotonic() - self._last_save >= self.every_seconds

    def _save(self, epoch, step):
        begun = time.monotonic()
        arrays = snapshot_variables(self.model)
        memories, callback_arrays = list_memory(self._others)
        record = {
            "epoch": epoch,
            "step": step,
            "run": self._description,
            "callbacks": memories,
            "best": self._best,
            "epochs": list(self._epochs),
        }
        self._last_save = time.monotonic()
        self.seconds += self._last_save - begun
        if not self._is_chief():
            return
        self._writer = threading.Thread(
            target=self._write, args=(self._num_steps, arrays | callback_arrays, record)
        )
        self._writer.start()

    def _write(self, number, arrays, record):
        try:
            self._store.write(number, arrays, record)
        except Exception as error:
            self._failure = error

    def _wait(self):
        begun = time.monotonic()
        if self._writer is not None:
            self._writer.join()
        self.seconds += time.monotonic() - begun
        self._raise_failure()

    def _raise_failure(self):
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

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
        if self._is_chief():
            folder = self._store.folder / "best"
            if not folder.exists() or looks_like_model(folder):
                self.model.save_pretrained(folder, overwrite=True)

    # Ending

    def _note_signal(self, number, frame):
        self._signal = number

    def _end_for_signal(self):
        """Saves at once, and ends as the signal would have."""
        number = self._signal
        self._wait()
        if self._cursor is not None and self._step:
            self._save(self._epoch, self._step)
        newest = self._name_newest()
        self.close()
        _say(f"Ended by {signal.Signals(number).name}, saved as {newest}.", self.verbose)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def close(self):
        """Waits for the writer, frees the folder, and puts the handlers of signals back.

        `lmzoo.tasks.Task.fit` calls it however it ends. A second call does nothing.
        """
        if self._store is None:
            return
        if self._writer is not None:
            self._writer.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        self._store.close()
        self._store = None
        forget_fit_start(self.model)

    def _name_newest(self):
        self._wait()
        steps = self._store.list_steps()
        return str(self._store.path_of(steps[-1])) if steps else "there is none"

    def _is_chief(self):
        return self.model.distribute_strategy.extended.should_checkpoint


@contextlib.contextmanager
def prepare_checkpoints(x, options):
    """Prepares the `Checkpoint`s among the callbacks of `fit`, and closes them however it ends.

    Args:
        x: what `fit` reads. A dataset of `lmzoo.data` has a cursor.
        options: dict. The keyword arguments of `fit`; read are `callbacks`, `steps_per_epoch`,
            `validation_data`, `validation_steps` and `validation_freq`.
    Yields:
        The callbacks, a `Checkpoint` behind the others: it saves what they made of an epoch.
    """
    callbacks = options.get("callbacks")
    if callbacks is None or isinstance(callbacks, keras.callbacks.CallbackList):
        yield callbacks
        return
    listed = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    checkpoints = [callback for callback in listed if isinstance(callback, Checkpoint)]
    others = [callback for callback in listed if not isinstance(callback, Checkpoint)]
    for checkpoint in checkpoints:
        checkpoint.prepare(
            getattr(x, "cursor", None),
            others,
            repeats=bool(options.get("steps_per_epoch")),
            validation=_make_validation_start(options),
        )
    try:
        yield others + checkpoints
    finally:
        for checkpoint in checkpoints:
            checkpoint.close()


def _make_validation_start(options):
    """What moves the validation data to an epoch; None where each validation is the same."""
    cursor = getattr(options.get("validation_data"), "cursor", None)
    if cursor is None:
        return None
    frequency = options.get("validation_freq", 1)
    steps = options.get("validation_steps") or cursor.num_steps

    def start(epoch):
        if isinstance(frequency, int):
            num_done = epoch // frequency
        else:
            num_done = sum(number in frequency for number in range(1, epoch + 1))
        cursor.go_to(num_done * steps)

    return start


def _say(text, verbose):
    if verbose:
        print(text, file=sys.stderr)


def _listen(numbers, handler):
    """Sets the handler of signals; the old ones by number. Only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in numbers}
