"""Rematerialization: the backward pass computes the activations of a layer again.

Dropout draws its mask a second time then. Both times it must draw the same one.
"""

import keras

__all__ = ["SeedScope", "rematerialize"]


class SeedScope(keras.StatelessScope):
    """Sets variables, such as the states of seed generators, for the layers called within it.

    Other variables keep the values that they have around it. Assignments within it change nothing
    outside of it.

    Args:
        state_mapping: list of pairs of a variable and a tensor, its value in this scope.
    """

    def get_current_value(self, variable):
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            # Keras's JAX trainer runs the whole model in a scope.
            return self.original_scope.get_current_value(variable)
        return value


def rematerialize(layer, hidden, bias=None, context=None, **options):
    """Calls a layer whose activations are not kept for the backward pass, but computed again.

    The output, the gradients and the draws of dropout are those of a plain call.

    Args:
        layer: keras.layers.Layer. It is built.
        hidden: float tensor. Its first argument.
        bias, context: float tensors, arguments of these names; None to leave them out.
        **options: further arguments. No gradient is computed for tensors among them.
    Returns:
        What the layer returns, one float tensor.
    Reference: Chen et al. 2016, https://arxiv.org/abs/1604.06174.
    """
    weights = {id(weight) for weight in layer.weights}
    seeds = [variable for variable in layer.variables if id(variable) not in weights]
    starts = [seed.value * 1 for seed in seeds]
    tensors = {"bias": bias, "context": context}
    tensors = {name: value for name, value in tensors.items() if value is not None}

    # TensorFlow takes no keyword arguments here, and no gradient of what is not an argument.
    def call(hidden, *values):
        with SeedScope(list(zip(seeds, starts, strict=True))) as scope:
            output = layer(hidden, **dict(zip(tensors, values, strict=True)), **options)
            ends = [scope.get_current_value(seed) for seed in seeds]
        return output, *ends

    output, *ends = keras.remat(call)(hidden, *tensors.values())
    for seed, end in zip(seeds, ends, strict=True):
        seed.assign(end)
    return output
