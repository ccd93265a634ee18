"""Moving averages of weights, for validation and for what is saved."""

import contextlib

import keras
import tensorflow as tf

from lmzoo.keras_seams import list_averages

__all__ = ["averaged_weights", "raw_weights"]

# The attribute of a task in which its weights wait while it has their averages.
_RAW = "_raw_weights"


@contextlib.contextmanager
def averaged_weights(task, callbacks=None):
    """Within the block, a task has the moving averages of its weights, which usually do better.

    They are those of an optimizer with `use_ema=True`; without one nothing changes. `evaluate`,
    validation and the `best/` of a `Checkpoint` have them by themselves, and the task itself has
    them once `fit` is over. So `save_pretrained` writes averages after `fit`. In a callback of your
    own it writes the weights of the last step, unless it stands in this block.

    Args:
        task: a compiled task.
        callbacks: the callbacks of `evaluate`. Nothing changes where a
            `keras.callbacks.SwapEMAWeights` is one of them, which does the same.
    Reference: Polyak and Juditsky 1992, https://doi.org/10.1137/0330046.
    Example:
        lm.compile(lmzoo.training.AdamW(3e-4, use_ema=True, ema_momentum=0.999))
        ...
        with lmzoo.training.averaged_weights(lm):
            lm.save_pretrained("runs/gpt/step-1000")
    """
    pairs = list_averages(task.optimizer)
    if not pairs or _has_swap(callbacks) or _RAW in vars(task):
        yield
        return
    variables, averages = zip(*pairs, strict=True)
    with _replaced(variables, averages) as raw:
        vars(task)[_RAW] = raw
        try:
            yield
        finally:
            del vars(task)[_RAW]


@contextlib.contextmanager
def raw_weights(task):
    """Within the block, a task has its weights again, even inside of `averaged_weights`.

    Args:
        task: a compiled task.
    """
    raw = vars(task).get(_RAW)
    if raw is None:
        yield
        return
    variables = [variable for variable, _ in list_averages(task.optimizer)]
    with _replaced(variables, raw):
        yield


@contextlib.contextmanager
def _replaced(variables, values):
    """Within the block, variables have other values; yields those that they had before."""
    kept = [tf.identity(variable.value) for variable in variables]
    try:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        yield kept
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


def _has_swap(callbacks):
    listed = getattr(callbacks, "callbacks", callbacks) or []
    listed = listed if isinstance(listed, list | tuple) else [listed]
    return any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in listed)
