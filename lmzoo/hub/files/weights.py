"""Reading weight files into variables and writing them; all checks come before any allocation."""

import concurrent.futures
import contextlib
import math

import numpy as np
import tensorflow as tf

from lmzoo.hub.files.safetensors import is_finite, read_into, read_tensor, write_tensors
from lmzoo.hub.files.shards import INDEX, make_index, plan_shards
from lmzoo.hub.tensor_mapping import join_tensors, split_variables, tensor_shapes
from lmzoo.json_files import write_json
from lmzoo.tensor_files import FLOATS

__all__ = ["check_weights", "read_ahead", "read_weights", "set_variables", "write_weights"]

# TensorFlow uses aligned memory without a copy.
_ALIGNMENT = 64


def check_weights(path, header, tensors, mapping, shapes):
    """Raises an error unless the files hold each tensor once, in its shape and in a float dtype.

    Args:
        path, header: the results of `find_weights`.
        tensors: dict of name in the file -> name in the mapping. Other tensors are ignored.
        mapping: dict of variable path -> TensorSources.
        shapes: dict of variable path -> shape.
    Raises:
        ValueError: if tensors are missing or unexpected, have another shape or dtype, or are tied
            and differ.
    """
    wanted = tensor_shapes(mapping, shapes)
    _check_names(path, wanted, tensors)
    for name, target in tensors.items():
        info = header[name]
        if info.shape != wanted[target]:
            raise ValueError(
                f"{name!r} in {str(info.path)!r} must have shape {wanted[target]} by its config. "
                f"Received: {info.shape}."
            )
        if info.dtype not in FLOATS:
            raise ValueError(
                f"{name!r} in {str(info.path)!r} must have one of the dtypes {', '.join(FLOATS)}. "
                f"Received: {info.dtype}."
            )
    _check_copies(path, header, tensors)


def _check_names(path, wanted, tensors):
    missing = sorted(wanted.keys() - set(tensors.values()))
    extra = sorted(name for name, target in tensors.items() if target not in wanted)
    if missing or extra:
        raise ValueError(
            f"The tensors of {str(path)!r} must be those of its config. "
            f"Missing: {_shorten(missing)}; not expected: {_shorten(extra)}."
        )


def _shorten(names):
    shown = ", ".join(f"{name!r:.80}" for name in names[:5])
    return (shown or "none") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_copies(path, header, tensors):
    """Tied tensors that are stored twice must be equal."""
    first = {}
    for name, target in tensors.items():
        other = first.setdefault(target, name)
        if other == name:
            continue
        one, two = (read_tensor(header[each]) for each in (other, name))
        if not np.array_equal(one, two):
            raise ValueError(
                f"{other!r} and {name!r} in {str(path)!r} must be equal where "
                "`tie_word_embeddings` is true. Received: two different tensors. Set it to false "
                "if the model has a head of its own."
            )


def read_weights(header, tensors, mapping, variables):
    """Reads the values of variables.

    Args:
        header, tensors, mapping: as for `check_weights`, which must have passed.
        variables: dict of variable path -> Keras variable, all those of the mapping.
    Raises:
        ValueError: as `set_variables`.
    """
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    dtype = next(iter(variables.values())).dtype
    with read_ahead(header, tensors, mapping, shapes, dtype) as values:
        set_variables(values, variables)


@contextlib.contextmanager
def read_ahead(header, tensors, mapping, shapes, dtype):
    """Reads values in a background thread while the caller builds the variables.

    Args:
        header, tensors, mapping, shapes: as for `check_weights`, which must have passed.
        dtype: str. The variables' dtype.
    Yields:
        dict of variable path -> future of its values, for `set_variables`.
    """
    names = {target: name for name, target in tensors.items()}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            yield {
                path: pool.submit(_read_variable, header, names, sources, shapes[path], dtype)
                for path, sources in mapping.items()
            }
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def set_variables(values, variables):
    """Assigns the values of `read_ahead` as they come.

    Args:
        values: dict, as `read_ahead` yields it. It is emptied.
        variables: dict of variable path -> Keras variable.
    Raises:
        ValueError: if a weight is NaN, infinite or too large for the variables' dtype.
    """
    for path in list(values):
        variable, array = variables[path], values.pop(path).result()
        variable.assign(_to_tensor(array, tf.as_dtype(array.dtype)))


def _read_variable(header, names, sources, shape, dtype):
    values = _make_aligned(shape, tf.as_dtype(dtype).as_numpy_dtype)
    join_tensors(sources, values, lambda name, part: _read_as(header, names[name], part))
    return values


def _make_aligned(shape, dtype):
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _to_tensor(values, dtype):
    """A tensor that shares the memory: `tf.constant` would copy it twice."""
    # DLPack has no bfloat16.
    bits = values.view(f"u{values.dtype.itemsize}")
    return tf.bitcast(tf.experimental.dlpack.from_dlpack(bits.__dlpack__()), dtype)


def _read_as(header, name, part):
    """Reads a tensor into a part of a variable's values, in their dtype."""
    info, dtype = header[name], part.dtype
    if part.flags.c_contiguous and dtype == FLOATS[info.dtype]:
        read_into(info, part, name)
        return
    array = read_tensor(info, name)
    with np.errstate(over="ignore"):
        part[...] = array
    # float16 is as wide as bfloat16 and overflows earlier.
    if dtype.itemsize <= array.dtype.itemsize and not is_finite(part):
        largest = np.max(np.abs(array))
        remedy = f"'mixed_{dtype}', which keeps float32 weights"
        if largest > np.finfo(np.float32).max:
            remedy = "'float64'"
        raise ValueError(
            f"{name!r} in {str(info.path)!r} must fit `dtype`. Received: {largest:.4g} for "
            f"{dtype}. Load it as {remedy}."
        )


def write_weights(folder, mapping, values, shard_size):
    """Writes the tensors of a mapping from the values of the same paths.

    Args:
        folder: pathlib.Path.
        mapping: dict of variable path -> TensorSources.
        values: dict of variable path -> Keras variable or tensor.
        shard_size: int. Most bytes of one file. With several files an index names the shards.
    Raises:
        ValueError: if a value is NaN or infinite.
    """
    # The array of a tensor is a view, that of a variable a copy.
    tensors = split_variables(mapping, lambda path: np.asarray(tf.convert_to_tensor(values[path])))
    sizes = {name: array.nbytes for name, array in tensors.items()}
    files = plan_shards(sizes, shard_size)
    for file, names in files.items():
        write_tensors(folder / file, {name: tensors[name] for name in names})
    if len(files) > 1:
        write_json(folder / INDEX, make_index(sizes, files))
