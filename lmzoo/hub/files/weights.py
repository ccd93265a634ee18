"""From the files of weights to the variables of a model and back, checked before one is built."""

import concurrent.futures
import contextlib
import math

import numpy as np
import tensorflow as tf

from lmzoo.hub.files.safetensors import FLOATS, is_finite, read_into, read_tensor, write_tensors
from lmzoo.hub.files.shards import INDEX, make_index, plan_shards
from lmzoo.hub.tensor_mapping import join_tensors, split_variables, tensor_shapes
from lmzoo.json_files import write_json

__all__ = ["check_weights", "read_ahead", "read_weights", "set_variables", "write_weights"]

# What TensorFlow asks of memory that it does not copy.
_ALIGNMENT = 64


def check_weights(path, header, tensors, mapping, shapes):
    """Refuses a file that does not hold each tensor once, in its shape and in a float dtype.

    Args:
        path, header: as `find_weights` gives them.
        tensors: dict of name in the file -> name in the mapping; what is not in it is ignored.
        mapping: dict of variable path -> TensorSources.
        shapes: dict of variable path -> shape.
    Raises:
        ValueError: if tensors are missing or superfluous, have another shape or dtype, or are two
            for one place and differ.
    """
    wanted = tensor_shapes(mapping, shapes)
    _check_names(path, wanted, tensors)
    for name, place in tensors.items():
        info = header[name]
        if info.shape != wanted[place]:
            raise ValueError(
                f"{name!r} in {str(info.path)!r} must have shape {wanted[place]} by its config. "
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
    extra = sorted(name for name, place in tensors.items() if place not in wanted)
    if missing or extra:
        raise ValueError(
            f"The tensors of {str(path)!r} must be those of its config. "
            f"Missing: {_shorten(missing)}; not expected: {_shorten(extra)}."
        )


def _shorten(names):
    shown = ", ".join(f"{name!r:.80}" for name in names[:5])
    return (shown or "none") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_copies(path, header, tensors):
    """Two tensors for one place must be equal."""
    first = {}
    for name, place in tensors.items():
        other = first.setdefault(place, name)
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
    """Gives each variable its values.

    Args:
        header, tensors, mapping: as for `check_weights`, which has let them through.
        variables: dict of variable path -> Keras variable, all those of the mapping.
    Raises:
        ValueError: if a weight is too large for the variables' dtype.
    """
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    dtype = next(iter(variables.values())).dtype
    with read_ahead(header, tensors, mapping, shapes, dtype) as values:
        set_variables(values, variables)


@contextlib.contextmanager
def read_ahead(header, tensors, mapping, shapes, dtype):
    """Reads in a thread of its own what variables shall hold, while others build them.

    Args:
        header, tensors, mapping, shapes: as for `check_weights`, which has let them through.
        dtype: str. That of the variables.
    Yields:
        dict of variable path -> future of its values, for `set_variables`.
    """
    names = {place: name for name, place in tensors.items()}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            yield {
                place: pool.submit(_read_variable, header, names, sources, shapes[place], dtype)
                for place, sources in mapping.items()
            }
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def set_variables(values, variables):
    """Gives variables what `read_ahead` reads for them, whose errors are raised here.

    Args:
        values: dict, as `read_ahead` yields it. It is emptied.
        variables: dict of variable path -> Keras variable.
    Raises:
        ValueError: if a weight is too large for the variables' dtype.
    """
    for place in list(values):
        variable, array = variables[place], values.pop(place).result()
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
    """A tensor of the same memory: `tf.constant` would copy it twice."""
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
    # float16 is as wide as bfloat16 and ends sooner.
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
        shard_size: int. How many bytes the tensors of one file may take. Where one file does not
            do, an index names the shards.
    """
    # The array of a tensor is a view of it; that of a variable would be a copy.
    tensors = split_variables(mapping, lambda path: np.asarray(tf.convert_to_tensor(values[path])))
    sizes = {name: array.nbytes for name, array in tensors.items()}
    files = plan_shards(sizes, shard_size)
    for file, names in files.items():
        write_tensors(folder / file, {name: tensors[name] for name in names})
    if len(files) > 1:
        write_json(folder / INDEX, make_index(sizes, files))
