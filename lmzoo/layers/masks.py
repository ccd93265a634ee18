"""Boolean masks: True = may look. They are made once a forward pass and shared by all layers.

Shapes: B batch, T query length, S key length.
"""

from keras import ops

from lmzoo.layers.checks import check_size

__all__ = [
    "make_causal_mask",
    "make_document_mask",
    "make_padding_mask",
    "make_window_mask",
]


def make_causal_mask(query_length, key_length, position=0, window=None):
    """Lets each query look at the keys up to its own slot.

    Args:
        query_length: int or scalar tensor. T.
        key_length: int or scalar tensor. S.
        position: int or scalar int tensor. The key slot of the first query.
        window: int or None. How many keys a query sees, itself included; None for all.
    Returns:
        bool (1, T, S).
    Raises:
        TypeError: if `window` is not an int.
        ValueError: if `window` is not positive.
    Example:
        >>> ops.cast(make_causal_mask(2, 4, position=1, window=2), "int32").numpy().tolist()
        [[[1, 1, 0, 0], [0, 1, 1, 0]]]
    """
    check_size(window=window)
    query_slots = ops.arange(query_length, dtype="int32") + ops.cast(position, "int32")
    query_slots = ops.expand_dims(query_slots, -1)
    key_slots = ops.expand_dims(ops.arange(key_length, dtype="int32"), 0)
    mask = key_slots <= query_slots
    if window is not None:
        mask = ops.logical_and(mask, key_slots > query_slots - window)
    return ops.expand_dims(mask, 0)


def make_padding_mask(padding_mask):
    """Hides padding from every query.

    Args:
        padding_mask: bool (B, S). True where a token is real.
    Returns:
        bool (B, 1, S).
    """
    return ops.expand_dims(ops.cast(padding_mask, "bool"), 1)


def make_window_mask(length, distance):
    """Lets each token attend to the tokens near it, on both sides.

    Args:
        length: int or scalar tensor. T.
        distance: int. The largest number of positions between a token and one that it attends to.
    Returns:
        bool (1, T, T).
    Raises:
        TypeError: if `distance` is not an int.
        ValueError: if `distance` is not positive.
    Reference: Beltagy et al. 2020, https://arxiv.org/abs/2004.05150, section 3.1.
    Example:
        >>> ops.cast(make_window_mask(4, distance=1), "int32").numpy().tolist()
        [[[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]]
    """
    check_size(distance=distance)
    positions = ops.arange(length, dtype="int32")
    distances = ops.abs(ops.expand_dims(positions, 0) - ops.expand_dims(positions, 1))
    return ops.expand_dims(distances <= distance, 0)


def make_document_mask(document_ids):
    """Lets each token look inside its own document only.

    Args:
        document_ids: int (B, T). Equal numbers belong to one document.
    Returns:
        bool (B, T, T).
    """
    return ops.equal(ops.expand_dims(document_ids, 2), ops.expand_dims(document_ids, 1))
