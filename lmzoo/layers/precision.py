"""Casts to float32 where half precision would overflow or lose too much."""

import keras
from keras import ops

__all__ = ["at_least_float32", "widen_policy"]


def at_least_float32(x):
    """Casts half-precision values to float32 and leaves float32 and float64 as they are.

    Softmax, norms, logits and losses are computed on what this returns: float16 overflows at
    65504 and bfloat16 keeps 8 bits of a sum.

    Args:
        x: float tensor of any shape.
    Returns:
        The tensor in float32 or float64.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    return ops.cast(x, "float32") if dtype in ("float16", "bfloat16") else x


def widen_policy(policy):
    """The Keras dtype policy of a part that must not compute in half precision.

    Args:
        policy: the `keras.DTypePolicy` of the layer around it.
    Returns:
        The policy "float32" where `policy` computes in float16 or bfloat16, else `policy`.
    """
    is_half = policy.compute_dtype in ("float16", "bfloat16")
    return keras.DTypePolicy("float32") if is_half else policy
