"""Reshapes that keep graphs small: static sizes are constants, only dynamic ones are computed.

Shapes: B batch, T length, D hidden, F any features, N heads, H head size.
"""

from keras import ops

__all__ = ["find_size", "flatten_positions", "merge_heads", "restore_positions", "split_heads"]


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
