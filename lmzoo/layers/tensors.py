"""Casts, reshapes and look-ups: what keeps numbers finite, graphs small, and LiteRT fast."""

import keras
from keras import ops

from lmzoo.layers.contexts import find_gather, is_litert

__all__ = [
    *("at_least_float32", "find_size", "flatten_positions", "hide", "look_up", "merge_heads"),
    *("restore_positions", "split_heads", "split_once", "widen_policy"),
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


# Of these, LiteRT has another form.


def look_up(table, ids):
    """Rows of a table.

    Args:
        table: (V, D).
        ids: int, of any shape, from 0 to V - 1.
    Returns:
        (*ids.shape, D) in the dtype of the table.
    """
    gather = find_gather()
    if gather is None:
        return ops.take(table, ids, axis=0)
    rows = gather(ops.convert_to_tensor(table), ops.reshape(ids, (-1,)))
    return ops.reshape(rows, (*ops.shape(ids), table.shape[-1]))


def hide(values, mask, hidden=0.0):
    """Values where a mask is True, and `hidden` elsewhere.

    For LiteRT `hidden` is added where it is not 0, so it must be far beyond the values, which must
    be finite: a score and -65504 is no score that a softmax sees.

    Args:
        values: float.
        mask: bool, of a shape that broadcasts to that of `values`.
        hidden: float.
    """
    if not is_litert():
        return ops.where(mask, values, hidden)
    if hidden:
        return values + ops.where(mask, ops.zeros((), values.dtype), hidden)
    return values * ops.cast(mask, values.dtype)


def split_once(tensor, size, axis):
    """The first `size` along an axis, and the rest.

    Args:
        tensor: float. The size of the axis must be known.
        size, axis: int.
    """
    if is_litert():
        before = (slice(None),) * axis
        return tensor[(*before, slice(size))], tensor[(*before, slice(size, None))]
    if keras.backend.backend() == "tensorflow":
        from lmzoo.tensorflow_ops import split_once as split

        return split(tensor, size, axis)
    return ops.split(tensor, [size], axis=axis)
