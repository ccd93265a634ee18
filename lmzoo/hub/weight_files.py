"""From a file of weights to the variables of a model and back, checked before a model is built."""

import numpy as np
import tensorflow as tf

from lmzoo.hub.recipes import join_tensors, split_variable, tensor_shapes
from lmzoo.hub.safetensors_files import FLOATS, read_header, read_tensor, write_tensors

__all__ = ["WEIGHTS", "check_weights", "find_weights", "read_weights", "write_weights"]

WEIGHTS = "model.safetensors"


def find_weights(folder):
    """The path and the header of a folder's weights.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if the file is broken.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f"`source` must hold {WEIGHTS}; pickled and sharded weights are not read. "
            f"Received: source={str(folder)!r}. Save it again as one file of safetensors."
        )
    return path, read_header(path)


def check_weights(path, header, found, recipes, shapes):
    """Refuses a file that does not hold each tensor once, in its shape and in a float dtype.

    Args:
        path: path of the file.
        header: dict, as `read_header` gives it.
        found: dict of name in the file -> name in the recipes; what is not in it is ignored.
        recipes: dict of variable path -> Recipe.
        shapes: dict of variable path -> shape.
    Raises:
        ValueError: if tensors are missing or superfluous, have another shape or dtype, or are two
            for one place and differ.
    """
    wanted = tensor_shapes(recipes, shapes)
    _check_names(path, wanted, found)
    for name, place in found.items():
        info = header[name]
        if info.shape != wanted[place]:
            raise ValueError(
                f"{name!r} in {str(path)!r} must have shape {wanted[place]} by its config. "
                f"Received: {info.shape}."
            )
        if info.dtype not in FLOATS:
            raise ValueError(
                f"{name!r} in {str(path)!r} must have one of the dtypes {', '.join(FLOATS)}. "
                f"Received: {info.dtype}."
            )
    _check_copies(path, header, found)


def _check_names(path, wanted, found):
    missing = sorted(wanted.keys() - set(found.values()))
    extra = sorted(name for name, place in found.items() if place not in wanted)
    if missing or extra:
        raise ValueError(
            f"The tensors of {str(path)!r} must be those of its config. "
            f"Missing: {_shorten(missing)}; not expected: {_shorten(extra)}."
        )


def _shorten(names):
    shown = ", ".join(f"{name!r:.80}" for name in names[:5])
    return (shown or "none") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_copies(path, header, found):
    """Two tensors for one place must be equal."""
    first = {}
    for name, place in found.items():
        other = first.setdefault(place, name)
        if other == name:
            continue
        one, two = (read_tensor(path, header[each]) for each in (other, name))
        if not np.array_equal(one, two):
            raise ValueError(
                f"{other!r} and {name!r} in {str(path)!r} must be equal where "
                "`tie_word_embeddings` is true. Received: two different tensors. Set it to false "
                "if the model has a head of its own."
            )


def read_weights(path, header, found, recipes, variables):
    """Gives each variable its values, one variable after another.

    Args:
        path, header, found, recipes: as for `check_weights`, which has let them through.
        variables: dict of variable path -> Keras variable.
    Raises:
        ValueError: if a weight is too large for the variables' dtype.
    """
    names = {place: name for name, place in found.items()}
    for place, recipe in recipes.items():
        variable = variables[place]

        def read(name, variable=variable):
            return _read_as(path, names[name], header[names[name]], variable.dtype)

        variable.assign(join_tensors(recipe, tuple(variable.shape), read))


def _read_as(path, name, info, dtype):
    array = read_tensor(path, info)
    with np.errstate(over="ignore"):
        values = array.astype(tf.as_dtype(dtype).as_numpy_dtype, copy=False)
    if values.dtype.itemsize < array.dtype.itemsize and _has_overflown(array, values):
        largest = np.max(np.abs(array[np.isfinite(array)]))
        raise ValueError(
            f"{name!r} in {str(path)!r} must fit `dtype`. Received: {largest:.4g} for {dtype}. "
            f"Load it as 'mixed_{dtype}', which keeps float32 weights."
        )
    return values


def _has_overflown(array, values):
    return not np.array_equal(np.isfinite(array), np.isfinite(values))


def write_weights(folder, recipes, variables):
    """Writes the tensors of all recipes from the variables of the same paths."""
    tensors = {}
    for place, recipe in recipes.items():
        parts = split_variable(recipe, np.asarray(variables[place].value))
        # Copied now, so that no transposed view keeps the whole variable beside its copy.
        tensors |= {name: np.ascontiguousarray(part) for name, part in parts.items()}
    write_tensors(folder / WEIGHTS, tensors)
