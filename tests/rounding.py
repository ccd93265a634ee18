"""What int8 and int4 make of weights, by hand."""

import numpy as np

from lmzoo.keras_seams import list_layers
from lmzoo.layers import TokenEmbedding
from lmzoo.layers.dense import Dense


def round_weights(matrix, mode):
    """What int8 or int4 makes of each number, row by row and block by block, in float64."""
    largest, size = {"int8": (127, matrix.shape[1]), "int4": (7, 32)}[mode]
    rounded = np.array(matrix, "float64")
    for row in rounded:
        for start in range(0, len(row), size):
            block = row[start : start + size]
            scale = np.abs(block).max() / largest
            block[:] = [scale * round(value / scale) if scale else 0.0 for value in block]
    return rounded


def list_matrices(task):
    """The layers of a task whose weights are quantized, each once."""
    layers = {id(layer): layer for layer in list_layers(task)}.values()
    return [layer for layer in layers if isinstance(layer, Dense | TokenEmbedding)]


def round_task(task, mode):
    """Rounds the float weights that `quantize` is to round; returns the task."""
    for layer in list_matrices(task):
        if isinstance(layer, Dense):
            layer.kernel.assign(round_weights(np.array(layer.kernel).T, mode).T)
        else:
            for weight in layer.weights:
                weight.assign(round_weights(np.array(weight), mode))
    return task
