"""Pooling: one vector for each text from the hidden states of its tokens.

Shapes: B batch, T length, D hidden.
"""

from keras import ops

from lmzoo.layers.precision import at_least_float32

__all__ = ["check_pooling", "find_first", "pool"]

_POOLINGS = ("cls", "last", "mean", "max")


def pool(hidden, padding_mask=None, pooling="mean"):
    """Pools hidden states over the real tokens of each text.

    Args:
        hidden: float (B, T, D).
        padding_mask: bool (B, T), True for real tokens; None if all are.
        pooling: "cls" takes the first real token, "last" the last one, "mean" the average and "max"
            the largest value of each feature over the real tokens.
    Returns:
        float (B, D) in the dtype of `hidden`. A row without real tokens gives zeros for "mean" and
        "max".
    Raises:
        ValueError: if `pooling` is unknown.
    Reference: Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3.
    Example:
        >>> hidden = ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
        >>> float(pool(hidden, ops.convert_to_tensor([[True, True, False]]))[0, 0])
        2.0
    """
    check_pooling(pooling)
    if padding_mask is None:
        if pooling in ("cls", "last"):
            return hidden[:, 0 if pooling == "cls" else -1]
        return ops.mean(hidden, axis=1) if pooling == "mean" else ops.max(hidden, axis=1)
    if pooling in ("cls", "last"):
        # A product with a one-hot row instead of a gather: every model converter supports it.
        find = find_first if pooling == "cls" else _find_last
        chosen = ops.one_hot(find(padding_mask), ops.shape(hidden)[1], dtype=hidden.dtype)
        # (B, 1, T), (B, T, D) -> (B, 1, D) -> (B, D)
        return ops.squeeze(ops.matmul(ops.expand_dims(chosen, 1), hidden), 1)
    real = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)
    if pooling == "max":
        highest = ops.max(ops.where(real, hidden, -65504.0), axis=1)
        return ops.where(ops.any(real, axis=1), highest, 0.0)
    precise = at_least_float32(hidden)
    total = ops.sum(ops.where(real, precise, 0.0), axis=1)
    count = ops.sum(ops.cast(real, precise.dtype), axis=1)
    return ops.cast(total / ops.maximum(count, 1.0), hidden.dtype)


def check_pooling(pooling):
    """Raises ValueError if `pooling` is unknown."""
    if pooling not in _POOLINGS:
        raise ValueError(
            f"`pooling` must be one of {', '.join(_POOLINGS)}. Received: pooling={pooling!r}."
        )


def find_first(padding_mask):
    """The index of the first real token of each row: bool (B, T) -> int32 (B,)."""
    return ops.cast(ops.argmax(ops.cast(padding_mask, "int32"), axis=1), "int32")


def _find_last(padding_mask):
    """The index of the last real token of each row: bool (B, T) -> int32 (B,)."""
    index = ops.arange(ops.shape(padding_mask)[1], dtype="int32")
    return ops.max(ops.where(padding_mask, index, 0), axis=1)
