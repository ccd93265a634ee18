"""Chains of elementwise ops in training, which XLA compiles as one loop forward, one backward.

Outside XLA each op of such a chain reads and writes a whole tensor, and keeps it for the backward
pass. The exact GELU of (1024, 3072) takes 37 ms of processor time, forward and backward, in
bfloat16 and 19 in float32; here it takes 7 and 6, and keeps its input alone. Matrix products stay
outside: XLA is slow at those in bfloat16.
"""

import functools
import math

import keras
from keras import ops

from lmzoo.layers.tensors import at_least_float32

__all__ = ["call_fused", "may_compile"]

# Numbers of one text. XLA compiles a function anew for each shape, which takes a tenth of a second.
_MIN_SIZE = 1 << 15


def call_fused(function, *tensors, dtype, text_shape, training):
    """Calls an elementwise function, in training on large tensors as one that XLA compiles.

    That is on TensorFlow, on one device, and for texts of a known length. Else it is a plain call,
    so that what is exported has no function that XLA must compile.

    Args:
        function: callable of tensors that computes each number of its result from one number of
            each. It must be the same object in each call, and use no variables or random numbers.
        *tensors: float tensors of one shape and dtype.
        dtype: str. That of the result.
        text_shape: tuple of int or None. The shape of what the tensors have of one text.
        training: bool or None.
    Returns:
        What the function gives. A compiled one computes in float32 at least.
    """
    is_large = None not in text_shape and math.prod(text_shape) >= _MIN_SIZE
    if training and is_large and may_compile():
        return _compile(function, dtype)(*tensors)
    return function(*tensors)


def may_compile():
    """Whether XLA may compile functions within a training step."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    # Under `MirroredStrategy` XLA fails.
    return not tf.distribute.has_strategy()


@functools.cache
def _compile(function, dtype):
    import tensorflow as tf

    def compute(*tensors):
        result = function(*(at_least_float32(one) for one in tensors))
        return ops.cast(result, dtype)

    compiled = tf.function(compute, jit_compile=True, autograph=False)

    @tf.function(jit_compile=True, autograph=False)
    def differentiate(upstream, *tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = compute(*tensors)
        return tape.gradient(result, tensors, upstream)

    @tf.custom_gradient
    def call(*tensors):
        return compiled(*tensors), lambda upstream: differentiate(upstream, *tensors)

    return call
