"""Which tensors of a file make which variables of a model, in both directions.

transformers stores query, key and value apart and linear layers as (out, in); a model here has one
kernel (in, out) for the three. `TensorSources` says so for one variable, and reading, writing and
the check of every shape follow it.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "TensorSources",
    "join_tensors",
    "make_mapping",
    "make_native_mapping",
    "split_variable",
    "split_variables",
    "tensor_shapes",
]

# What a variable's last name becomes in a file.
_ENDINGS = {
    "kernel": "weight",
    "embeddings": "weight",
    "output_embeddings": "weight",
    "gamma": "weight",
    "scale": "weight",
    "beta": "bias",
    "bias": "bias",
}


class TensorSources(NamedTuple):
    """The tensors of a file that make one variable.

    names: tuple of str. They lie side by side along the variable's last axis.
    widths: tuple of int or None. How much of that axis each takes; None for equal shares.
    transposed: bool. Whether the file has the two axes of a matrix the other way round.
    part: (int, int) or None. The index of this variable and the number of variables, of equal
        shapes, that lie side by side in one tensor; None where a tensor has one variable alone.
    """

    names: tuple
    widths: tuple | None = None
    transposed: bool = False
    part: tuple | None = None


def make_mapping(shapes, modules, transposed=True, widths=None, parts=None):
    """Names the tensors of each variable by the modules of the file that hold them.

    Args:
        shapes: dict of variable path -> shape.
        modules: dict of a layer's path, or of a variable's, -> tuple of module names.
        transposed: bool. Whether the kernels are stored (out, in), as torch's linear layers are.
        widths: dict of a layer's path -> widths of its modules where they are not equal, or None.
        parts: dict of a layer's path -> `TensorSources.part` where its module has further layers.
    Returns:
        dict of variable path -> TensorSources.
    """
    mapping, widths, parts = {}, widths or {}, parts or {}
    for path in shapes:
        layer, _, kind = path.rpartition("/")
        found = modules.get(path) or modules[layer]
        # A list first: a generator costs more than all else here, and a config may name 12,000.
        names = [f"{module}.{_ENDINGS[kind]}" for module in found]
        transposes = transposed and kind == "kernel"
        mapping[path] = TensorSources(tuple(names), widths.get(layer), transposes, parts.get(layer))
    return mapping


def make_native_mapping(shapes):
    """dict of path -> TensorSources in which each variable is one tensor under its own path.

    Args:
        shapes: dict of variable path -> shape.
    """
    return {path: TensorSources((path.replace("/", "."),)) for path in shapes}


def tensor_shapes(mapping, shapes):
    """dict of tensor name -> its shape in a file, for variables of these shapes."""
    found = {}
    for path, sources in mapping.items():
        if len(sources.names) == 1 and sources.part is None:
            shape = tuple(shapes[path])
            found[sources.names[0]] = shape[::-1] if sources.transposed else shape
            continue
        *others, width = shapes[path]
        count = sources.part[1] if sources.part else 1
        for name, part in zip(sources.names, _find_widths(sources, width), strict=True):
            shape = (*others, part * count)
            found[name] = shape[::-1] if sources.transposed else shape
    return found


def join_tensors(sources, values, read):
    """Fills the values of a variable from its tensors.

    Args:
        sources: TensorSources.
        values: NumPy array of the variable's shape. What it holds is overwritten.
        read: callable `(name, part)`. Writes a tensor of the file into `part`, which has its shape
            and is a view of `values`: so no tensor lies beside the whole but where it is converted.
    """
    if sources.part is not None:
        index, count = sources.part
        *others, width = values.shape
        whole = np.empty((*others, width * count), values.dtype)
        read(sources.names[0], whole.T if sources.transposed else whole)
        values[...] = whole[..., index * width : (index + 1) * width]
        return
    start = 0
    for name, width in zip(sources.names, _find_widths(sources, values.shape[-1]), strict=True):
        part = values[..., start : start + width]
        read(name, part.T if sources.transposed else part)
        start += width


def split_variables(mapping, values):
    """dict of tensor name -> its values, for the values of all variables of a mapping.

    Args:
        mapping: dict of path -> TensorSources.
        values: callable. A path -> NumPy array.
    """
    tensors, parts = {}, {}
    for path, sources in mapping.items():
        found = split_variable(sources, values(path))
        if sources.part is None:
            tensors |= found
            continue
        (name,) = sources.names
        index, count = sources.part
        parts.setdefault(name, [None] * count)[index] = found[name]
        if all(part is not None for part in parts[name]):
            # A transposed part is (out, in).
            tensors[name] = np.concatenate(parts.pop(name), axis=0 if sources.transposed else -1)
    return tensors


def split_variable(sources, array):
    """dict of tensor name -> its values, for the values of a variable: views, not copies."""
    ends = np.cumsum(_find_widths(sources, array.shape[-1]))[:-1]
    parts = np.split(array, ends, axis=-1)
    if sources.transposed:
        parts = [part.T for part in parts]
    return dict(zip(sources.names, parts, strict=True))


def _find_widths(sources, width):
    if sources.widths is not None:
        return sources.widths
    return (width // len(sources.names),) * len(sources.names)
