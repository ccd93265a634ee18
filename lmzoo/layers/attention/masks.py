"""Boolean attention masks: True = may be attended to.

Models make a mask once in a forward pass and share it among all layers.

Shapes: B batch, T query length, S key length.
"""

import keras
from keras import ops

from lmzoo.layers.checks import check_size
from lmzoo.layers.tensors import find_size

__all__ = [
    "combine_masks",
    "make_causal_mask",
    "make_document_mask",
    "make_padding_mask",
    "make_window_mask",
]


def make_causal_mask(query_length, key_length, position=0, window=None):
    """Lets each query attend to the keys up to its own position.

    Args:
        query_length: int or scalar tensor, T; or a tensor (B, T, ...), which may be symbolic.
        key_length: int or scalar tensor, S; or a tensor (B, S, ...), which may be symbolic.
        position: int or scalar int tensor. The index of the key at the first query.
        window: int or None. How many keys a query attends to, itself included; None for all.
    Returns:
        bool (1, T, S).
    Raises:
        TypeError: if `window` is not an int.
        ValueError: if `window` is not positive.
    Example:
        >>> ops.cast(make_causal_mask(2, 4, position=1, window=2), "int32").numpy().tolist()
        [[[1, 1, 0, 0], [0, 1, 1, 0]]]
        >>> make_causal_mask(keras.Input((None,)), key_length=4).shape
        (1, None, 4)
    """
    check_size(window=window)
    # Functions of `ops`: the operators of TensorFlow refuse symbolic tensors on their right.
    query_index = ops.add(_make_range(query_length), ops.cast(position, "int32"))
    query_index = ops.expand_dims(query_index, -1)
    key_index = ops.expand_dims(_make_range(key_length), 0)
    mask = ops.less_equal(key_index, query_index)
    if window is not None:
        mask = ops.logical_and(mask, ops.greater(key_index, query_index - window))
    return ops.expand_dims(mask, 0)


def make_window_mask(length, distance):
    """Lets each token attend to the tokens near it, on both sides.

    Args:
        length: int or scalar tensor, T; or a tensor (B, T, ...), which may be symbolic.
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
    index = _make_range(length)
    distances = ops.abs(ops.expand_dims(index, 0) - ops.expand_dims(index, 1))
    return ops.expand_dims(distances <= distance, 0)


def make_padding_mask(padding_mask):
    """Hides padding from every query.

    Args:
        padding_mask: bool (B, S). True for real tokens.
    Returns:
        bool (B, 1, S).
    """
    return ops.expand_dims(ops.cast(padding_mask, "bool"), 1)


def make_document_mask(document_ids):
    """Lets each token attend to its own document only.

    Args:
        document_ids: int (B, T). Equal numbers belong to one document.
    Returns:
        bool (B, T, T).
    """
    return ops.equal(ops.expand_dims(document_ids, 2), ops.expand_dims(document_ids, 1))


def combine_masks(attention_mask, *padding_masks):
    """An attention mask with the padding of the keys hidden too.

    Args:
        attention_mask: bool (B or 1, T or 1, S) or None.
        *padding_masks: bool (B, S), True for real tokens, or None.
    Returns:
        bool (B or 1, T or 1, S), or None if all are None.
    """
    for mask in padding_masks:
        if mask is not None:
            mask = make_padding_mask(mask)
            attention_mask = (
                mask if attention_mask is None else ops.logical_and(attention_mask, mask)
            )
    return attention_mask


def _make_range(length):
    """0 to a length, int32 (length,)."""
    if isinstance(length, keras.KerasTensor):
        return _Range()(length)
    if len(getattr(length, "shape", ())) > 1:
        length = find_size(length, axis=1)
    return ops.arange(length, dtype="int32")


@keras.saving.register_keras_serializable(package="lmzoo")
class _Range(keras.Operation):
    """`_make_range` in a functional model, where the length is known when data comes."""

    def call(self, like):
        return _make_range(like)

    def compute_output_spec(self, like):
        length = like.shape[1] if len(like.shape) > 1 else None
        return keras.KerasTensor((length,), "int32")
