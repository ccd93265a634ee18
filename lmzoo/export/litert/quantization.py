"""Weights in 16, 8 or 4 bits: float16 here, integers by litert-quantizer."""

import contextlib
import io
import logging

import numpy as np

from lmzoo.export.litert.flatbuffer import (
    SMALLEST_TABLE,
    add_op_code,
    list_weights,
    open_model,
    pack_model,
    schema,
)

__all__ = ["QUANTIZATIONS", "check_quantization", "quantize_model"]

QUANTIZATIONS = (None, "float16", "int8", "int4")
# How many weights share a scale in int4.
_BLOCK = 32
_LARGEST_HALF = 65504.0
# The ops whose weights are quantized.
_OPERATIONS = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")


def check_quantization(task, quantization):
    """Refuses a quantization that a task cannot have, before any work is done.

    Args:
        task: a task of `lmzoo.tasks`.
        quantization: str or None.
    Raises:
        ImportError: if litert-quantizer is needed and not installed.
        ValueError: if it is unknown, or the model's widths or weights do not suit it.
    """
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be one of {', '.join(map(repr, QUANTIZATIONS))}. Received: "
            f"quantization={quantization!r}."
        )
    if quantization == "int4":
        for weight in task.weights:
            _check_blocks(weight)
    if quantization == "float16":
        for weight in task.weights:
            _check_half(weight)
    if quantization in ("int8", "int4"):
        _import_quantizer()


def _check_blocks(weight):
    # A kernel (D, F) is stored (F, D); a table (V, D) as it is. Both have D in blocks.
    is_kernel = weight.name == "kernel"
    is_small_table = not is_kernel and np.prod(weight.shape) < SMALLEST_TABLE
    if len(weight.shape) != 2 or is_small_table:
        return
    width = weight.shape[0 if is_kernel else 1]
    if width % _BLOCK:
        raise ValueError(
            f"`quantization` must not be 'int4' where the inputs of a weight are no multiple of "
            f"{_BLOCK}. Received: quantization='int4', {weight.path!r} with {width} inputs. Use "
            "'int8'."
        )


def _check_half(weight):
    largest = float(np.max(np.abs(weight.numpy()), initial=0.0))
    if largest > _LARGEST_HALF:
        raise ValueError(
            f"`quantization` must not be 'float16' where a weight is beyond {_LARGEST_HALF:.0f}. "
            f"Received: quantization='float16', {largest:.3g} in {weight.path!r}."
        )


def _import_quantizer():
    try:
        from litert_quantizer import quantizer, recipe
    except ImportError as error:
        raise ImportError(
            "`quantization` in integers needs litert-quantizer, which is not installed. Run "
            "`pip install 'lmzoo[litert]'`."
        ) from error
    return quantizer, recipe


def quantize_model(model, quantization):
    """Stores the weights of matrix products and look-ups in fewer bits.

    "int8" has a scale for each output channel or row of a table, "int4" one for each 32 weights of
    it; activations stay float32 and are rounded to 8 bits inside of a product. "float16" weights
    become float32 again as a file is opened.

    Args:
        model: ModelT, in float32.
        quantization: str or None.
    Returns:
        ModelT.
    """
    if quantization is None:
        return model
    if quantization == "float16":
        _cast_weights(model)
        return model
    quantizer, recipe = _import_quantizer()
    recipes = {"int8": recipe.dynamic_wi8c_afp32, "int4": recipe.dynamic_wi4b32_afp32}
    steps = []
    for operation in _OPERATIONS:
        steps += recipes[quantization](operation_name=operation)
    with _silence():
        result = quantizer.Quantizer(bytearray(pack_model(model)), steps)
        content = result.quantize(enable_progress_bar=False, enable_progress_report=False)
    return open_model(bytes(content.quantized_model))


@contextlib.contextmanager
def _silence():
    """The quantizer has progress bars, and warns of each tensor that shares a buffer."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _cast_weights(model):
    """Stores weights in float16, each with a DEQUANTIZE before the ops that read it.

    litert-quantizer's own way takes two minutes for GPT-2 small, this one two seconds.
    """
    code = add_op_code(model, "DEQUANTIZE", version=2)
    halves = {}
    for graph in model.subgraphs:
        weights = dict.fromkeys(op.inputs[place] for op, place in list_weights(model, graph))
        casts = [_make_cast(model, graph, index, code, halves) for index in weights]
        graph.operators = [*casts, *graph.operators]
    for buffer in halves:
        model.buffers[buffer].data = None


def _make_cast(model, graph, index, code, halves):
    """The op that makes tensor `index` out of float16; `halves` has the buffers made so far."""
    weight = graph.tensors[index]
    if weight.buffer not in halves:
        half = schema.BufferT()
        half.data = model.buffers[weight.buffer].data.view("<f4").astype("<f2").view(np.uint8)
        model.buffers.append(half)
        halves[weight.buffer] = len(model.buffers) - 1
    stored, cast = schema.TensorT(), schema.OperatorT()
    vars(stored).update(vars(weight))
    stored.type, stored.buffer = schema.TensorType.FLOAT16, halves[weight.buffer]
    graph.tensors.append(stored)
    # The tensor that is there becomes the result, without content of its own.
    weight.buffer = 0
    cast.opcodeIndex, cast.inputs, cast.outputs = code, [len(graph.tensors) - 1], [index]
    return cast
