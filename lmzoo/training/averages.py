"""Moving averages of weights, for validation and for what is saved."""

import contextlib

import keras
import tensorflow as tf

from lmzoo.keras_seams import list_averages

__all__ = ["averaged_weights"]


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
    if not pairs or _has_swap(callbacks) or "_has_averages" in vars(task):
        yield
        return
    vars(task)["_has_averages"] = True
    raw = [tf.identity(variable.value) for variable, _ in pairs]
    try:
        for variable, average in pairs:
            variable.assign(average)
        yield
    finally:
        for (variable, _), value in zip(pairs, raw, strict=True):
            variable.assign(value)
        del vars(task)["_has_averages"]


def _has_swap(callbacks):
    listed = getattr(callbacks, "callbacks", callbacks) or []
    listed = listed if isinstance(listed, list | tuple) else [listed]
    return any(isinstance(callback, keras.callbacks.SwapEMAWeights) for callback in listed)
