"""Casts and reshapes: what keeps numbers finite, and graphs small."""

import keras
from keras import ops

__all__ = [
    "at_least_float32",
    "find_size",
    "flatten_positions",
    "merge_heads",
    "restore_positions",
    "split_heads",
    "widen_policy",
]


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


def flatten_positions(hidden):
    """(B, T, D) -> (B * T, D), so that a dense layer is one plain matrix product.

    A dense layer on three axes becomes a tensordot of ten ops. In a decoding step of one position,
    these cost as much as the attention itself.
    """
    return ops.reshape(hidden, (-1, hidden.shape[-1]))


def restore_positions(flat, like):
    """(B * T, F) -> (B, T, F), with B and T of `like`."""
    return ops.reshape(flat, (-1, find_size(like, axis=1), flat.shape[-1]))


def split_heads(flat, like, num_heads):
    """(B * T, N * H) -> (B, N, T, H), with B and T of `like`."""
    head_dim = flat.shape[-1] // num_heads
    # (B * T, N * H) -> (B, T, N, H) -> (B, N, T, H)
    heads = ops.reshape(flat, (-1, find_size(like, axis=1), num_heads, head_dim))
    return ops.transpose(heads, (0, 2, 1, 3))


def merge_heads(heads):
    """(B, N, T, H) -> (B * T, N * H)."""
    num_heads, head_dim = heads.shape[1], heads.shape[3]
    # (B, N, T, H) -> (B, T, N, H) -> (B * T, N * H)
    return ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (-1, num_heads * head_dim))


def find_size(x, axis):
    """The size of one axis: an int if static, else a scalar tensor."""
    return x.shape[axis] if x.shape[axis] is not None else ops.shape(x)[axis]
