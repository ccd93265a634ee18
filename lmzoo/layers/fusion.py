"""Chains of elementwise ops in training, which XLA compiles as one loop forward, one backward.

Outside XLA each op of such a chain reads and writes a whole tensor, and keeps it for the backward
pass. The exact GELU of (1024, 3072) takes 37 ms of processor time, forward and backward, in
bfloat16 and 19 in float32; here it takes 7 and 6, and keeps its input alone. Matrix products stay
outside: XLA is slow at those in bfloat16.
"""

import math

import keras

__all__ = ["call_fused"]

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
    if training and is_large and keras.backend.backend() == "tensorflow":
        from lmzoo import tensorflow_ops

        if tensorflow_ops.may_compile():
            function = tensorflow_ops.compile_elementwise(function, dtype)
    return function(*tensors)
