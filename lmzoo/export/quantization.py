"""Weights in 8 or 4 bits, in memory and while a SavedModel is written."""

import contextlib
from typing import Any, NamedTuple

import numpy as np

from lmzoo.keras_seams import KERNEL, list_layers, replace_weight
from lmzoo.layers import TokenEmbedding
from lmzoo.layers.dense import Dense
from lmzoo.layers.quantized import BLOCK, MODES, QuantizedMatrix

__all__ = ["quantize_task", "quantized", "swapped"]


class _Place(NamedTuple):
    """A weight that may be quantized.

    Attributes:
        layer: keras.layers.Layer.
        weight: str. The attribute that holds its variable.
        matrix: str. The attribute that takes a QuantizedMatrix.
        is_kernel: bool. Whether it is stored (inputs, outputs), not (outputs, inputs).
    """

    layer: Any
    weight: str
    matrix: str
    is_kernel: bool

    def read(self):
        """The weight as a NumPy array (outputs, inputs)."""
        # What low-rank weights have taught a kernel is in it.
        value = np.array(self.layer.kernel if self.is_kernel else getattr(self.layer, self.weight))
        return value.T if self.is_kernel else value


def quantize_task(task, mode):
    """Replaces the weights of a task's products and look-ups by integers, for good.

    Args:
        task: a task of `lmzoo.tasks`.
        mode: "int8" or "int4".
    Raises:
        ValueError: if the mode is unknown or does not suit the task's widths, the task is quantized
            already or does not compute in float32, or a weight is not finite.
    """
    places = _list_places(task, mode, "mode")
    # All of them before the first float weight goes.
    matrices = [_make_matrix(place, mode) for place in places]
    for place, matrix in zip(places, matrices, strict=True):
        replace_weight(place.layer, place.weight, matrix.variables)
        vars(place.layer)[place.matrix] = matrix
    vars(task).update(quantization=mode, quantized_matrices=matrices)


@contextlib.contextmanager
def quantized(task, mode):
    """A context in which a task computes with quantized weights, and keeps its own beside them.

    Args:
        task: a task of `lmzoo.tasks`.
        mode: "int8", "int4" or None for the weights that it has.
    Yields:
        list of keras.Variable. The weights that are not used meanwhile.
    Raises:
        ValueError: as `quantize_task`.
    """
    model = task.get_scored_model()
    if mode is None or mode == model.quantization:
        yield []
        return
    with contextlib.ExitStack() as stack:
        matrices, unused = [], []
        for place in _list_places(model, mode, "quantization"):
            matrices.append(_make_matrix(place, mode))
            unused.append(getattr(place.layer, place.weight))
            stack.enter_context(swapped(place.layer, place.matrix, matrices[-1]))
        # Traced functions hold weights.
        for owner in (task, model):
            stack.enter_context(swapped(owner, "_graphs", {}))
        stack.enter_context(swapped(model, "quantization", mode))
        stack.enter_context(swapped(model, "quantized_matrices", matrices))
        yield unused


@contextlib.contextmanager
def swapped(owner, name, value):
    """Sets an attribute past Keras, which would track it, and puts back what was there."""
    missing = object()
    before = vars(owner).get(name, missing)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if before is missing:
            del vars(owner)[name]
        else:
            vars(owner)[name] = before


def _make_matrix(place, mode):
    floats = place.read()
    if not np.isfinite(floats).all():
        raise ValueError(
            "Weights must be finite to be quantized. Received: NaN or infinity in "
            f"{place.layer.path!r}."
        )
    return QuantizedMatrix(floats, mode, place.weight.strip("_"))


def _list_places(task, mode, name):
    """The weights to be quantized, all of them checked. `name` is what the caller calls `mode`."""
    if mode not in MODES:
        raise ValueError(f"`{name}` must be 'int8' or 'int4'. Received: {name}={mode!r}.")
    layers = {id(layer): layer for layer in list_layers(task)}.values()
    by_keras = [layer.quantization_mode for layer in layers if layer.quantization_mode is not None]
    if task.quantization is not None or by_keras:
        raise ValueError(
            f"`{name}` must be of a task whose weights are floats. Received: {name}={mode!r} for "
            f"weights in {task.quantization or by_keras[0]}. Load the task again."
        )
    policy = task.backbone.dtype_policy.name
    if policy != "float32":
        raise ValueError(
            f"`{name}` must be of a task that computes in float32. Received: {name}={mode!r} for "
            f"dtype={policy!r}. Open it with `lmzoo.load(folder, dtype='float32')`."
        )
    places = [place for layer in layers for place in _list_weights(layer)]
    for place in places if mode == "int4" else ():
        width = place.layer.kernel.shape[0] if place.is_kernel else place.layer.hidden_dim
        if width % BLOCK:
            raise ValueError(
                f"`{name}` must not be 'int4' where the inputs of a weight are no multiple of "
                f"{BLOCK}. Received: {name}='int4', {place.layer.path!r} with {width} inputs. Use "
                "'int8'."
            )
    return places


def _list_weights(layer):
    if isinstance(layer, Dense):
        return [_Place(layer, KERNEL, "quantized_kernel", is_kernel=True)]
    if isinstance(layer, TokenEmbedding):
        names = ("embeddings",) if layer.tied else ("embeddings", "output_embeddings")
        return [_Place(layer, name, name, is_kernel=False) for name in names]
    return []
