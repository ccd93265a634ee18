"""What a run writes of each step: `metrics.jsonl`, `validation.jsonl` and TensorBoard's events."""

import functools
import importlib.util
import json
import math
import os
import pathlib
import threading
import time

import keras
import tensorflow as tf

from lmzoo.keras_seams import get_loss_tracker
from lmzoo.runs.devices import scope_of
from lmzoo.tasks.losses import sum_over_replicas

__all__ = ["MetricsLog", "StepRecorder", "read_lines"]

_VALUES = ("loss", "tokens", "learning_rate", "gradient_norm", "loss_scale", "skipped_steps")


class StepRecorder:
    """Keeps the numbers of a task's last training step, those of all replicas together.

    Keras reports running means. This wraps the `train_step` of one task, until `close`.

    Args:
        task: a compiled task.
        strategy: its strategy, or None.
    """

    def __init__(self, task, strategy=None):
        self._task = task
        with scope_of(strategy):
            self._last = tf.Variable(
                [0.0] * len(_VALUES),
                trainable=False,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        self._train_step = task.train_step
        # Each replica is traced by a thread of its own, and they take turns.
        self._traced = threading.local()
        get_loss_tracker(task).listener = functools.partial(setattr, self._traced, "loss")
        vars(task)["train_step"] = self._record
        # `fit` traces it anew.
        task.train_function = None

    def close(self):
        """Gives the task its own `train_step` back; a second call does nothing."""
        if vars(self._task).pop("train_step", None) is not None:
            get_loss_tracker(self._task).listener = None
            self._task.train_function = None

    def read(self):
        """dict of name to float: the step's mean loss, its tokens and the optimizer's numbers."""
        return dict(zip(_VALUES, self._last.numpy().tolist(), strict=True))

    def _record(self, data):
        optimizer = self._task.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        # Before the update, which counts the step.
        rate = tf.cast(inner.learning_rate, tf.float32)
        logs = self._train_step(data)
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        own = tf.stack([tf.cast(self._traced.loss, tf.float32), count_tokens(inputs)])
        total, num_replicas = sum_over_replicas(own)
        others = [
            getattr(inner, "gradient_norm", math.nan),
            getattr(optimizer, "dynamic_scale", math.nan),
            getattr(optimizer, "skipped_steps", math.nan),
        ]
        others = [tf.cast(tf.convert_to_tensor(value), tf.float32) for value in others]
        self._last.assign(tf.stack([total[0] / num_replicas, total[1], rate, *others]))
        return logs


def count_tokens(inputs):
    """float32 scalar tensor: the real tokens of token batches, of encoder and decoder together."""
    masks = [inputs[name] for name in inputs if name.endswith("padding_mask")]
    if not masks:
        masks = [tf.ones_like(inputs[name]) for name in inputs if name.endswith("token_ids")]
    return tf.add_n([tf.reduce_sum(tf.cast(mask, tf.float32)) for mask in masks])


class MetricsLog(keras.callbacks.Callback):
    """Writes a line for each step and each validation of a run.

    After a resume, lines of steps that are trained again are removed first, so that each step is
    there once.

    Args:
        folder: str or path. Of the run.
        recorder: StepRecorder.
        writes: bool. Whether this process writes; one of several workers does.
    Attributes:
        first_step_at: float or None. `time.monotonic()` at the end of the first step.
    """

    # Its memory is in the files.
    is_stateless = True

    def __init__(self, folder, recorder, writes=True):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.first_step_at = None
        self._recorder, self._writes = recorder, writes
        self._files, self._events, self._step = {}, None, None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = epoch * self.params["steps"]

    def on_train_batch_begin(self, batch, logs=None):
        if self._step is None:
            self._begin_after(self._epoch_start + batch)
        self._begun = time.perf_counter()

    def _begin_after(self, step):
        """Makes the files those of a run that has done `step` steps."""
        self._step = step
        if not self._writes:
            return
        for name in ("metrics", "validation"):
            truncate_after(self._path(name), self._step)
        if importlib.util.find_spec("tensorboard") is not None:
            self._events = tf.summary.create_file_writer(str(self.folder / "events"))

    def _path(self, name):
        return self.folder / f"{name}.jsonl"

    def on_train_batch_end(self, batch, logs=None):
        values = self._recorder.read()
        seconds = time.perf_counter() - self._begun
        self.first_step_at = self.first_step_at or time.monotonic()
        self._step = self._epoch_start + batch + 1
        line = {
            "step": self._step,
            **values,
            "tokens": int(values["tokens"]),
            "tokens_per_second": values["tokens"] / seconds,
            "seconds": seconds,
        }
        if not math.isnan(line["skipped_steps"]):
            line["skipped_steps"] = int(line["skipped_steps"])
        self._write("metrics", line)

    def on_epoch_end(self, epoch, logs=None):
        if self._step is None:
            # The run was stopped between the last step of an epoch and its validation.
            self._begin_after(self._epoch_start + self.params["steps"])
        found = {name: float(value) for name, value in (logs or {}).items() if "val_" in name}
        if found:
            self._write("validation", {"step": self._step, **found})

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Closes the files; a second call does nothing."""
        while self._files:
            self._files.popitem()[1].close()
        if self._events is not None:
            self._events.close()
            self._events = None

    def _write(self, name, line):
        if not self._writes:
            return
        finite = {key: None if _is_not_finite(value) else value for key, value in line.items()}
        if name not in self._files:
            self._files[name] = self._path(name).open("a", encoding="utf-8")
        file = self._files[name]
        try:
            file.write(json.dumps(finite) + "\n")
            file.flush()
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; the run stops", file.name) from error
        if self._events is None:
            return
        with self._events.as_default(step=line["step"]):
            for key, value in finite.items():
                if key != "step" and value is not None:
                    tf.summary.scalar(key, value)


def _is_not_finite(value):
    return isinstance(value, float) and not math.isfinite(value)


def truncate_after(path, step):
    """Removes the lines of a log whose step is after `step`, and half a line at the end."""
    if not path.exists():
        return
    kept = 0
    with path.open("rb+") as file:
        for line in file:
            try:
                found = json.loads(line)["step"] if line.endswith(b"\n") else None
            except (ValueError, KeyError, TypeError):
                found = None
            if found is None or found > step:
                break
            kept += len(line)
        file.truncate(kept)
        file.flush()
        os.fsync(file.fileno())


def read_lines(path):
    """The lines of a log, list of dict; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
