"""The arithmetic of a model and of a machine: what a step needs, and how fast products are."""

import math
import time

import tensorflow as tf

from lmzoo.keras_seams import list_called_graphs
from lmzoo.tracing import trace_once

__all__ = ["count_forward_flops", "measure_product_rate"]

_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")


def count_forward_flops(task, inputs):
    """The floating-point operations of the matrix products of one forward pass.

    They are counted in the traced graph: those of attention count in full, though half of the
    scores of a decoder are masked, as in the reference. A training step needs three times as many,
    once forward and twice backward; what is computed again to save memory does not count.

    Args:
        task: a task of `lmzoo.tasks`.
        inputs: dict of name to array or tensor, a batch of token batches.
    Returns:
        int. Multiplications and additions.
    Reference: Chowdhery et al. 2022, https://arxiv.org/abs/2204.02311, appendix B.
    """
    specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in inputs.items()}
    traced = trace_once(lambda **batch: task(batch, training=False))
    return _count_graph(traced.get_concrete_function(**specs).graph)


def _count_graph(graph):
    """The products of a graph and of the functions that it calls, each where it is called."""
    total = 0
    for op in graph.get_operations():
        if op.type in _PRODUCTS:
            total += _count_matmul(op)
        elif op.type == "Einsum":
            total += _count_einsum(op)
        else:
            total += sum(_count_graph(body) for body in list_called_graphs(op))
    return total


def _count_matmul(op):
    left, out = op.inputs[0].shape, op.outputs[0].shape
    name = "transpose_a" if op.type == "MatMul" else "adj_x"
    inner = left[-2] if op.get_attr(name) else left[-1]
    return 2 * _size(out) * (inner or 1)


def _count_einsum(op):
    equation = op.get_attr("equation").decode()
    sizes = {}
    for letters, tensor in zip(equation.partition("->")[0].split(","), op.inputs, strict=True):
        # An ellipsis stands for leading axes, which the result has too.
        named = letters.replace("...", "")
        sizes.update(zip(reversed(named), reversed(tensor.shape.as_list()), strict=False))
    own = equation.partition("->")[2].replace("...", "")
    contracted = math.prod(sizes[letter] or 1 for letter in sizes if letter not in own)
    return 2 * _size(op.outputs[0].shape) * contracted


def _size(shape):
    return math.prod(size or 1 for size in shape)


def measure_product_rate(size=None, seconds=0.3):
    """The floating-point operations a second of bfloat16 matrix products on one device.

    Args:
        size: int or None. The side of the square matrices; None for 8,192 on a GPU and 1,024
            elsewhere.
        seconds: float. How long it measures, after a first product.
    Returns:
        float.
    """
    if size is None:
        size = 8192 if tf.config.list_physical_devices("GPU") else 1024
    matrix = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), tf.bfloat16)
    multiply = trace_once(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    multiply().numpy()
    rates, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        begun = time.perf_counter()
        multiply().numpy()
        rates.append(2 * size**3 / (time.perf_counter() - begun))
    return sorted(rates)[len(rates) // 2]
