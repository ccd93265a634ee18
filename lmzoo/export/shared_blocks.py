"""One traced function for all blocks of a model that differ in their weights alone.

A model of twelve blocks is then one block in the graph that is written, not twelve. TensorFlow puts
the calls in line before it runs the graph of a decoding step, which is the same then as without.
"""

import tensorflow as tf

from lmzoo.keras_seams import KERNEL, list_layers
from lmzoo.layers.contexts import find_floats, float_matrices, layer_calls
from lmzoo.layers.rematerialization import SeedScope
from lmzoo.tracing import trace_once

__all__ = ["shared_blocks"]


def shared_blocks():
    """A context in which blocks are called by functions that those of the same form share.

    Returns:
        context manager.
    """
    functions = {}

    def call(block, hidden, **kwargs):
        given, matrices = _list_weights(block)
        floats = [find_floats(matrix) for matrix in matrices]
        flat = tf.nest.flatten(((hidden, kwargs), floats))
        tensors = [each for each in flat if isinstance(each, tf.Tensor)]
        if any(tf.is_tensor(each) and not isinstance(each, tf.Tensor) for each in flat):
            return block(hidden, **kwargs)
        key = _make_key(block, given, flat, ((hidden, kwargs), floats))
        if key not in functions:
            functions[key] = _trace(block, given, matrices, flat, ((hidden, kwargs), floats))
        function = functions[key]
        # What it reads beside its arguments is of the block that it was traced with.
        if function.captured_inputs:
            return block(hidden, **kwargs)
        return function([variable.value for variable in given], tensors)

    return layer_calls(call)


def _list_weights(block):
    """The variables that a block reads, and its quantized matrices, in the order of its layers."""
    layers = list_layers(block)
    quantized = [layer for layer in layers if getattr(layer, "quantized_kernel", None) is not None]
    unused = {id(getattr(layer, KERNEL, None)) for layer in quantized}
    matrices = [layer.quantized_kernel for layer in quantized]
    weights = [weight for weight in block.weights if id(weight) not in unused]
    return weights + [variable for matrix in matrices for variable in matrix.variables], matrices


def _make_key(block, given, flat, structure):
    """What a trace depends on: the options of a block, the specs of its weights and arguments."""
    config = {key: value for key, value in block.get_config().items() if key != "name"}
    specs = [
        (each.shape.as_list() if each.shape.rank is not None else None, each.dtype)
        if isinstance(each, tf.Tensor)
        else each
        for each in flat
    ]
    names = [variable.path.removeprefix(block.path) for variable in given]
    variables = [(tuple(variable.shape), variable.dtype) for variable in given]
    return repr((config, names, variables, specs, tf.nest.map_structure(lambda _: 0, structure)))


def _trace(block, given, matrices, flat, structure):
    """The concrete function of a block: of the values of its weights, and of its tensors."""
    is_tensor = [isinstance(each, tf.Tensor) for each in flat]

    def call(values, tensors):
        left = iter(tensors)
        filled = [
            next(left) if is_one else each for each, is_one in zip(flat, is_tensor, strict=True)
        ]
        (hidden, kwargs), floats = tf.nest.pack_sequence_as(structure, filled)
        floats = dict(zip(matrices, floats, strict=True))
        with SeedScope(list(zip(given, values, strict=True))), float_matrices(floats.get):
            return block(hidden, **kwargs)

    weights = [tf.TensorSpec(variable.shape, variable.dtype) for variable in given]
    specs = [tf.TensorSpec(each.shape, each.dtype) for each in flat if isinstance(each, tf.Tensor)]
    return trace_once(call, [weights, specs]).get_concrete_function()
