"""What `Task.fit` does with the callbacks that it is given."""

import contextlib

import keras

from lmzoo.training.checkpoint import Checkpoint

__all__ = ["prepare_checkpoints"]


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
