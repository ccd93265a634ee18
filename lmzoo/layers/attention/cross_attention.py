"""Multi-head attention over another sequence.

Shapes: B batch, T query length, S key length, C context width, D hidden, N heads, H head size.
"""

import keras
from keras import ops

from lmzoo.layers.attention.masks import combine_masks
from lmzoo.layers.attention.self_attention import BaseAttention
from lmzoo.layers.tensors import flatten_positions, merge_heads, restore_positions, split_heads

__all__ = ["CrossAttention"]


@keras.saving.register_keras_serializable(package="lmzoo")
class CrossAttention(BaseAttention):
    """Multi-head attention over another sequence, the context.

    A Keras mask of the context hides its padding; that of `hidden` is passed on.

    Args:
        num_heads, head_dim, num_key_value_heads, use_bias, use_output_bias, scale, dropout,
            initializer, output_initializer, chunks: as for `SelfAttention`.
    Call arguments:
        hidden: float (B, T, D).
        context: float (B, S, C), or None where `cache` holds its keys and values.
        attention_mask: bool (B or 1, T or 1, S), True where a query may attend to a key, or None.
        bias: float (B or 1, N, T, S) added to the scores, or None.
        cache: dict as `make_cache` returns it for this context, or None.
        context_mask: bool (B, S), True for real tokens, or None. Keras passes the mask of `context`
            here.
    Returns:
        float (B, T, D).
    Raises:
        TypeError: if a size is not an int, or `chunks` neither that nor "auto".
        ValueError: if neither `context` nor `cache` is given, the head counts do not divide, or a
            number is out of its range.
    Reference: as `attend`.
    Example:
        >>> layer = CrossAttention(num_heads=4)
        >>> tuple(layer(keras.ops.ones((1, 5, 16)), context=keras.ops.ones((1, 9, 12))).shape)
        (1, 5, 16)
    """

    def build(self, hidden_shape, context_shape=None):
        self._find_head_dim(hidden_shape[-1])
        context_dim = (context_shape or hidden_shape)[-1]
        self.query = self._make_projection("query", self.num_heads, hidden_shape[-1])
        self.key_value = self._make_projection(
            "key_value", 2 * self.num_key_value_heads, context_dim
        )
        self._build_output(hidden_shape[-1])

    def call(
        self,
        hidden,
        context=None,
        attention_mask=None,
        bias=None,
        cache=None,
        context_mask=None,
        training=None,
    ):
        if cache is None and context is None:
            raise ValueError("`context` must be given where there is no `cache`. Received: None.")
        whole = cache is not None
        if cache is None:
            cache = self.make_cache(context)
        attention_mask = combine_masks(attention_mask, context_mask)
        query = split_heads(self.query(flatten_positions(hidden)), hidden, self.num_heads)
        key, value = cache["key"], cache["value"]
        attended, _ = self._attend(query, key, value, attention_mask, bias, training, whole=whole)
        return restore_positions(self.output_dense(merge_heads(attended)), like=hidden)

    def make_cache(self, context):
        """The keys and values of `context` (B, S, C), computed once for all steps."""
        projected = self.key_value(flatten_positions(context))
        heads = split_heads(projected, context, 2 * self.num_key_value_heads)
        key, value = ops.split(heads, 2, axis=1)
        return {"key": key, "value": value}

    def compute_output_shape(self, hidden_shape):
        return hidden_shape
