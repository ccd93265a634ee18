"""The state of a run: everything that the next step depends on, as arrays and JSON."""

import json
import math

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

from lmzoo.keras_seams import set_monitor_direction
from lmzoo.training.workers import count_workers, find_worker, sum_over_workers

__all__ = [
    "check_finite",
    "describe_run",
    "find_differences",
    "list_memory",
    "restore_memory",
    "restore_variables",
    "snapshot_variables",
]

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def _list_variables(task, names):
    """(name, variable) of weights and seed generators, optimizer, metrics, each name once.

    Names are places in these lists. Keras numbers the names of layers by how many there were before
    in the process, so that the names of variables depend on what a script did earlier.
    """
    groups = {
        "model": task.variables,
        "optimizer": task.optimizer.variables,
        "metrics": task.metrics_variables,
    }
    return [
        (f"{group}.{index:05d}", variable)
        for group, variables in groups.items()
        if group in names
        for index, variable in enumerate(variables)
    ]


def snapshot_variables(task, groups=("model", "optimizer", "metrics"), into=None):
    """A copy of variables in host memory. All workers must call it together.

    Metrics keep a sum on each replica. Over R replicas they are arrays (R, ...), because another
    order of additions gives other last digits.

    Args:
        task: a compiled task.
        groups: tuple of str, among "model", "optimizer" and "metrics".
        into: dict of name to numpy array, an earlier snapshot whose memory is used again, or None.
            New memory takes several times as long as the copy.
    Returns:
        dict of name to numpy array. bfloat16, which NumPy does not know, is kept as its bits,
        uint16.
    """
    arrays, into = {}, into or {}
    for name, variable in _list_variables(task, groups):
        if _is_summed_on_read(task, variable):
            arrays[name] = _gather_replicas(task.distribute_strategy, variable)
            continue
        # On a CPU it shares memory with the variable, which `numpy()` would copy.
        array = np.asarray(tf.convert_to_tensor(variable.value))
        array = array.view(np.uint16) if array.dtype == _BFLOAT16 else array
        copy = into.get(name)
        if copy is None or (copy.shape, copy.dtype) != (array.shape, array.dtype):
            copy = np.empty_like(array)
        np.copyto(copy, array)
        arrays[name] = copy
    return arrays


def check_finite(arrays):
    """Raises FloatingPointError if one of the weights of a snapshot is not finite."""
    for name, array in arrays.items():
        is_float = np.issubdtype(array.dtype, np.floating)
        if name.startswith("model.") and is_float and not np.isfinite(array).all():
            raise FloatingPointError(
                f"Weights must be finite to be saved. Received: NaN or infinity in {name}, of "
                f"shape {array.shape}, after a gradient that was not finite."
            )


def restore_variables(task, arrays, groups):
    """Assigns what `snapshot_variables` gave, to the variables of some groups.

    Args:
        task: a compiled task whose optimizer is built.
        arrays: dict of name to numpy array.
        groups: tuple of str, among "model", "optimizer" and "metrics".
    Raises:
        ValueError: if names, shapes or dtypes differ.
    """
    wanted = dict(_list_variables(task, groups))
    present = {name for name in arrays if name.split(".")[0] in groups}
    if wanted.keys() != present:
        different = sorted(wanted.keys() ^ present)
        raise ValueError(
            "A checkpoint must have the variables of the task. Received: one that differs in "
            f"{len(different)}, such as {different[0]!r}."
        )
    for name, variable in wanted.items():
        array = arrays[name]
        if variable.dtype == "bfloat16":
            array = array.view(_BFLOAT16)
        shape, is_summed = tuple(variable.shape), _is_summed_on_read(task, variable)
        if is_summed:
            shape = (task.distribute_strategy.num_replicas_in_sync, *shape)
        if name.startswith("metrics.") and array.shape != shape:
            array = _spread(array, variable.shape, shape)
        if array.shape != shape or array.dtype.name != variable.dtype:
            raise ValueError(
                f"A checkpoint must have {name!r} as {variable.dtype} {shape}. "
                f"Received: {array.dtype.name} {array.shape}."
            )
        if not is_summed:
            variable.assign(array)
            continue
        for index, local in _list_local(task.distribute_strategy, variable):
            local.assign(array[index])


def _is_summed_on_read(task, variable):
    """Whether each replica has a share of a variable, as those of metrics."""
    is_on_read = variable.value.synchronization == tf.VariableSynchronization.ON_READ
    return is_on_read and task.distribute_strategy.num_replicas_in_sync > 1


def _list_local(strategy, variable):
    """(index of the replica, its own variable) of the replicas of this worker."""
    own = strategy.experimental_local_results(variable.value)
    return list(enumerate(own, start=len(own) * find_worker(strategy)))


def _spread(array, own_shape, shape):
    """A metric of another number of replicas: its sum, on the first replica."""
    is_stacked = array.ndim == len(own_shape) + 1
    total = array.sum(axis=0, dtype=array.dtype) if is_stacked else array
    if shape == tuple(own_shape) or total.shape != tuple(own_shape):
        return total
    return np.concatenate([total[None], np.zeros((shape[0] - 1, *own_shape), array.dtype)])


def _gather_replicas(strategy, variable):
    """The values on all replicas, (R, ...)."""
    shape = (strategy.num_replicas_in_sync, *variable.shape)
    rows = np.zeros(shape, variable.dtype)
    for index, local in _list_local(strategy, variable):
        rows[index] = local.numpy()
    return sum_over_workers(strategy, rows) if count_workers(strategy) > 1 else rows


# Callbacks


def list_memory(callbacks):
    """What callbacks remember between steps.

    Args:
        callbacks: list of keras.callbacks.Callback.
    Returns:
        A list of [class name, memory] that JSON can hold, and a dict of name to numpy array for
        lists of arrays, such as the best weights of `EarlyStopping`. Attributes that are neither
        numbers, strings, None nor lists and dicts of them are not in it.
    """
    memories, arrays = [], {}
    for index, callback in enumerate(callbacks):
        if getattr(callback, "is_stateless", False):
            continue
        memory = {}
        for name, value in vars(callback).items():
            if _is_arrays(value):
                arrays |= {_array_name(index, name, i): array for i, array in enumerate(value)}
                memory[name] = {_ARRAYS: [index, len(value)]}
            elif name not in _NOT_REMEMBERED and (plain := _to_plain(value)) is not _FOREIGN:
                memory[name] = plain
        memories.append([type(callback).__name__, memory])
    return memories, arrays


def restore_memory(callbacks, memories, arrays):
    """Gives callbacks what `list_memory` read of those of the same class, in the same order.

    Returns:
        list of str: the classes of callbacks for which there is no memory.
    """
    left, without = list(memories), []
    for callback in callbacks:
        if getattr(callback, "is_stateless", False):
            continue
        kind = type(callback).__name__
        entry = next((entry for entry in left if entry[0] == kind), None)
        if entry is None:
            without.append(kind)
            continue
        left.remove(entry)
        set_monitor_direction(callback)
        for name, value in entry[1].items():
            if isinstance(value, dict) and _ARRAYS in value:
                index, count = value[_ARRAYS]
                value = [arrays[_array_name(index, name, i)] for i in range(count)]
            else:
                value = _from_plain(value)
            setattr(callback, name, value)
    return without


_ARRAYS, _FLOAT = "arrays", "float"
# What Keras sets anew in each run.
_NOT_REMEMBERED = ("params", "_params", "_model", "validation_data")
_FOREIGN = object()


def _array_name(index, attribute, number):
    return f"callback.{index:05d}.{attribute}.{number:05d}"


def _is_arrays(value):
    is_list = isinstance(value, list) and value
    return bool(is_list) and all(isinstance(one, np.ndarray) for one in value)


def _to_plain(value):
    """A value as JSON can hold it, infinite numbers as text; `_FOREIGN` if it is another object."""
    if isinstance(value, np.generic | tf.Tensor) and np.ndim(value) == 0:
        value = np.asarray(value).item()
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: str(value)}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):
        plain = [_to_plain(one) for one in value]
        return _FOREIGN if _FOREIGN in plain else plain
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        plain = {key: _to_plain(one) for key, one in value.items()}
        return _FOREIGN if _FOREIGN in plain.values() else plain
    return _FOREIGN


def _from_plain(value):
    if isinstance(value, list):
        return [_from_plain(one) for one in value]
    if isinstance(value, dict):
        if value.keys() == {_FLOAT}:
            return float(value[_FLOAT])
        return {key: _from_plain(one) for key, one in value.items()}
    return value


# Configuration


def describe_run(task, data):
    """What must be the same for a run to go on: a dict that JSON can hold.

    Args:
        task: a compiled task.
        data: dict. What the caller knows of the data, such as the number of steps of an epoch.
    Returns:
        dict with `task`, `precision`, `weights`, `optimizer`, `loss`, `data` and `versions`.
    """
    described = {
        "task": type(task).__name__,
        "precision": task.dtype_policy.name,
        "weights": [[w.name, list(w.shape), w.dtype, w.trainable] for w in task.weights],
        "optimizer": _without_names(keras.saving.serialize_keras_object(task.optimizer)),
        "loss": _describe_loss(task.loss),
        "data": data,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }
    return json.loads(json.dumps(described, default=repr, sort_keys=True))


def _without_names(config):
    """A config of Keras without the names, which Keras numbers by what was there before."""
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    return config


def _describe_loss(loss):
    if isinstance(loss, keras.losses.Loss):
        return keras.saving.serialize_keras_object(loss)
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def find_differences(before, now, path=""):
    """The leaves in which two JSON values differ, as lines "path: before -> now"."""
    if isinstance(before, dict) and isinstance(now, dict):
        lines = []
        for key in sorted(before.keys() | now.keys()):
            inner = f"{path}.{key}" if path else key
            lines += find_differences(before.get(key), now.get(key), inner)
        return lines
    return [] if before == now else [f"{path}: {before!r} -> {now!r}"]
