"""What layers take from TensorFlow itself, where `keras.ops` has no such thing.

A layer imports it in a call, where Keras runs on TensorFlow.
"""

import functools

import tensorflow as tf

from lmzoo.tracing import trace_once

__all__ = ["compile_elementwise", "draw_16_bits", "may_compile", "split_once"]


def may_compile():
    """Whether XLA may compile functions within a training step: on one device alone."""
    # Under `MirroredStrategy` XLA fails.
    return not tf.distribute.has_strategy()


@functools.cache
def compile_elementwise(function, dtype):
    """A function that XLA compiles as one loop forward and one backward, which keeps its inputs.

    Args:
        function: callable of float tensors, without variables or random numbers.
        dtype: str. That of its result. It computes in float32 at least.
    Returns:
        callable of float tensors. The same for the same arguments.
    """

    def compute(*tensors):
        precise = [
            tf.cast(one, tf.float32) if one.dtype in (tf.float16, tf.bfloat16) else one
            for one in tensors
        ]
        return tf.cast(function(*precise), dtype)

    def differentiate(upstream, *tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = compute(*tensors)
        return tape.gradient(result, tensors, upstream)

    forward, backward = (trace_once(each, jit_compile=True) for each in (compute, differentiate))

    @tf.custom_gradient
    def call(*tensors):
        return forward(*tensors), lambda upstream: backward(upstream, *tensors)

    return call


def draw_16_bits(like, seed):
    """Random uint16 of the shape of a tensor, two of each 32 random bits.

    Args:
        like: tensor of any shape.
        seed: int (2,).
    """
    shape = tf.shape(like)
    count = tf.reduce_prod(shape)
    bits = tf.random.stateless_uniform(
        [(count + 1) // 2], tf.cast(seed, tf.int32), minval=None, maxval=None, dtype=tf.int32
    )
    return tf.reshape(tf.reshape(tf.bitcast(bits, tf.uint16), [-1])[:count], shape)


def split_once(tensor, size, axis):
    """The first `size` along an axis of known size, and the rest.

    It is three ops in a graph. `keras.ops.split` with an index is 24, two slices are eight and slow
    to differentiate.
    """
    return tf.split(tensor, [size, tensor.shape[axis] - size], axis)
