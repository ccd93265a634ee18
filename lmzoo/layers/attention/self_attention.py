"""Multi-head self-attention, with a cache or without, and what attention layers share.

Shapes: B batch, T query length, S key length, D hidden, N heads, K key-value heads, H head size.
"""

import functools

import keras
from keras import ops

from lmzoo.layers.attention.cache import init_cache, update_cache
from lmzoo.layers.attention.chunked import attend_in_chunks, check_chunks, count_chunks
from lmzoo.layers.attention.dot_product import attend, record_weights
from lmzoo.layers.attention.masks import combine_masks, make_causal_mask
from lmzoo.layers.attention.positions import rotate_by_position
from lmzoo.layers.attention.rotary_scaling import check_rotary_scaling
from lmzoo.layers.checks import check_even, check_positive, check_rate, check_size, list_arguments
from lmzoo.layers.dense import Dense
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.norms import make_norm
from lmzoo.layers.tensors import (
    find_size,
    flatten_positions,
    merge_heads,
    restore_positions,
    split_heads,
    split_once,
)

__all__ = ["BaseAttention", "SelfAttention"]


class BaseAttention(keras.layers.Layer):
    """What both kinds of attention share: the arguments, their checks and their projections."""

    def __init__(
        self,
        num_heads,
        head_dim=None,
        num_key_value_heads=None,
        use_bias=True,
        use_output_bias=None,
        scale=None,
        dropout=0.0,
        initializer="glorot_uniform",
        output_initializer=None,
        chunks="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_size(num_heads=num_heads, head_dim=head_dim, num_key_value_heads=num_key_value_heads)
        check_chunks(chunks=chunks)
        if num_key_value_heads is None:
            num_key_value_heads = num_heads
        if num_heads % num_key_value_heads:
            raise ValueError(
                "`num_key_value_heads` must divide `num_heads`. Received: "
                f"num_key_value_heads={num_key_value_heads}, num_heads={num_heads}."
            )
        check_positive(scale=scale)
        check_rate(dropout=dropout)
        self.supports_masking = True
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.num_key_value_heads = num_key_value_heads
        self.use_bias = use_bias
        self.use_output_bias = use_bias if use_output_bias is None else use_output_bias
        self.scale = scale
        self.chunks = chunks
        self.dropout = dropout
        self.initializer = keras.initializers.get(initializer)
        self.output_initializer = keras.initializers.get(output_initializer or initializer)
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def _build_output(self, hidden_dim):
        self.output_dense = Dense(
            hidden_dim,
            use_bias=self.use_output_bias,
            kernel_initializer=self.output_initializer.clone(),
            dtype=self.dtype_policy,
            name="output",
        )
        self.output_dense.build((None, self.num_heads * self._head_dim))

    def _find_head_dim(self, hidden_dim):
        if self.head_dim is None and hidden_dim % self.num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_dim` where no `head_dim` is given. Received: "
                f"num_heads={self.num_heads}, hidden_dim={hidden_dim}."
            )
        self._head_dim = self.head_dim or hidden_dim // self.num_heads

    def _make_projection(self, name, num_heads, input_dim):
        dense = Dense(
            num_heads * self._head_dim,
            use_bias=self.use_bias,
            kernel_initializer=self.initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build((None, input_dim))
        return dense

    def _attend(self, query, key, value, mask, bias, training, reach=None, whole=False):
        """The weighted values, (B, N, T, H), and the weights where it is `whole`, in no chunks."""
        arguments = {"attention_mask": mask, "bias": bias, "scale": self.scale}
        record_weights(self, query, key, **arguments)
        num_chunks = 1 if whole else count_chunks(self.chunks, query, key, training)
        if num_chunks > 1:
            arguments["dropout"] = self.dropout_layer
            chunks = (arguments, num_chunks, reach, training)
            return attend_in_chunks(query, key, value, *chunks), None
        arguments["dropout"] = functools.partial(self.dropout_layer, training=training)
        return attend(query, key, value, **arguments, return_weights=True)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, BaseAttention)}


@keras.saving.register_keras_serializable(package="lmzoo")
class SelfAttention(BaseAttention):
    """Multi-head self-attention with grouped queries, rotary positions and a key-value cache.

    One projection computes query, key and value, in that order: one large matrix product is faster
    than three, and GPT-2 stores it so. Keras masks, such as that of `Embedding(mask_zero=True)`,
    hide padding from every query and are passed on.

    Args:
        num_heads: int. N.
        head_dim: int or None. H; None for D / N.
        num_key_value_heads: int or None. K. Groups of N / K query heads share a key-value head;
            None for N.
        use_bias: bool. Whether query, key and value have biases.
        use_output_bias: bool or None. Whether the output has one; None as `use_bias`.
        scale: float or None. Multiplies the scores; None for H ** -0.5.
        causal: bool. If True, each position attends to itself and to those before it.
        rotary: bool. If True, queries and keys are rotated by their position.
        max_wavelength: float. The base of the rotary angles.
        rotary_scaling: dict or None, as `check_rotary_scaling` explains it.
        query_key_norm: bool. If True, each head of query and key goes through an RMS norm before
            it is rotated. All heads of the queries share one scale (H,), all of the keys another.
        norm_epsilon: float. Of these norms.
        dropout: float in [0, 1). Applied to the attention weights.
        initializer: Keras initializer of the projections.
        output_initializer: the output kernel's; None for `initializer`.
        chunks: int or "auto". In how many chunks of queries the scores are computed, whose memory
            is then that of one chunk. With several, the backward pass computes them again, and
            dropout has a draw for each. "auto" is 1, and in training from 2,048 tokens on 4 to 16
            where the length is known. With a cache, or where weights are asked for, it is 1.
    Call arguments:
        hidden: float (B, T, D).
        attention_mask: bool (B or 1, T or 1, S), True where a query may attend to a key, or None.
        bias: float (B or 1, N, T, S) added to the scores, or None.
        positions: int (B or 1, T), for rotary; None counts from `position`.
        cache: dict as `make_cache` returns it, or None.
        position: int or scalar tensor. The cache slot of the first of the T positions.
        return_weights: bool. Whether to return the attention weights, (B, N, T, S).
        reach: tuple (before, after) of int or None. The mask hides the keys that come more than
            `before` positions before a query, or more than `after` after it; None for no limit.
            Chunks leave these keys out. Without it, nothing but time is lost.
        mask: bool (B, T), True for real tokens, or None. Keras passes the mask of `hidden` here,
            or as `hidden_mask` in a call with several tensors.
    Returns:
        float (B, T, D); or a tuple of it, the updated cache where there is one (S being its slots),
        and the weights where they are asked for.
    Raises:
        TypeError: if a size is not an int, or `chunks` neither that nor "auto".
        ValueError: if the head counts do not divide, H is odd with `rotary`, a number is out of its
            range, or a Keras mask comes with a cache.
    Reference: as `attend` and `rotate_by_position`; Henry et al. 2020,
        https://arxiv.org/abs/2010.04245 (norms of query and key), in the form of Qwen3.
    Example:
        >>> layer = SelfAttention(num_heads=4, num_key_value_heads=2, rotary=True)
        >>> hidden = keras.ops.ones((1, 5, 16))
        >>> tuple(layer(hidden).shape)
        (1, 5, 16)
        >>> output, cache = layer(hidden, cache=layer.make_cache(batch_size=1, num_slots=8))
        >>> tuple(cache["key"].shape)
        (1, 2, 8, 4)
    """

    def __init__(
        self,
        num_heads,
        rotary=False,
        max_wavelength=10000.0,
        rotary_scaling=None,
        query_key_norm=False,
        norm_epsilon=1e-6,
        causal=False,
        **kwargs,
    ):
        super().__init__(num_heads, **kwargs)
        check_positive(max_wavelength=max_wavelength)
        check_rotary_scaling(rotary_scaling)
        self.causal = causal
        self.rotary = rotary
        self.max_wavelength = max_wavelength
        self.rotary_scaling = rotary_scaling
        self.query_key_norm = query_key_norm
        self.norm_epsilon = norm_epsilon
        self.query_norm = self.key_norm = None
        if query_key_norm:
            self.query_norm, self.key_norm = (
                make_norm("rms_norm", norm_epsilon, name, self.dtype_policy)
                for name in ("query_norm", "key_norm")
            )

    def build(self, hidden_shape):
        hidden_dim = hidden_shape[-1]
        self._find_head_dim(hidden_dim)
        if self.rotary:
            check_even(head_dim=self._head_dim)
        num_projected = self.num_heads + 2 * self.num_key_value_heads
        self.query_key_value = self._make_projection("query_key_value", num_projected, hidden_dim)
        if self.query_key_norm:
            self.query_norm.build((None, None, None, self._head_dim))
            self.key_norm.build((None, None, None, self._head_dim))
        self._build_output(hidden_dim)

    def call(
        self,
        hidden,
        attention_mask=None,
        bias=None,
        positions=None,
        cache=None,
        position=0,
        return_weights=False,
        reach=None,
        mask=None,
        hidden_mask=None,
        training=None,
    ):
        _check_no_keras_mask(cache, mask, hidden_mask)
        attention_mask = combine_masks(attention_mask, mask, hidden_mask)
        projected = self.query_key_value(flatten_positions(hidden))
        num_projected = self.num_heads + 2 * self.num_key_value_heads
        # (B * T, (N + 2 K) H) -> (B, N + 2 K, T, H) -> (B, N + K, T, H), (B, K, T, H)
        query_key, value = split_once(
            split_heads(projected, hidden, num_projected),
            self.num_heads + self.num_key_value_heads,
            axis=1,
        )
        if self.query_key_norm:
            query, key = split_once(query_key, self.num_heads, axis=1)
            query_key = ops.concatenate([self.query_norm(query), self.key_norm(key)], axis=1)
        if self.rotary:
            if positions is None:
                positions = ops.arange(find_size(hidden, axis=1), dtype="int32")
                positions = ops.expand_dims(positions + ops.cast(position, "int32"), 0)
            query_key = rotate_by_position(
                query_key, positions, self.max_wavelength, self.rotary_scaling
            )
        # (B, N + K, T, H) -> (B, N, T, H), (B, K, T, H)
        query, key = split_once(query_key, self.num_heads, axis=1)
        if cache is not None:
            cache = update_cache(cache, key, value, position)
            key, value = cache["key"], cache["value"]
        if self.causal:
            causal_mask = make_causal_mask(hidden, ops.shape(key)[2], position)
            attention_mask = (
                causal_mask
                if attention_mask is None
                else ops.logical_and(attention_mask, causal_mask)
            )
            reach = ((reach or (None, None))[0], 0)
        whole = return_weights or cache is not None
        attended, weights = self._attend(
            query, key, value, attention_mask, bias, training, reach, whole
        )
        output = restore_positions(self.output_dense(merge_heads(attended)), like=hidden)
        outputs = (output, *([] if cache is None else [cache]), *([weights] * return_weights))
        return output if len(outputs) == 1 else outputs

    def make_cache(self, batch_size, num_slots):
        """An empty cache of this layer for `num_slots` positions. The layer must be built."""
        return init_cache(
            batch_size, self.num_key_value_heads, num_slots, self._head_dim, self.compute_dtype
        )

    def compute_output_shape(self, hidden_shape):
        return hidden_shape

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, SelfAttention)}


def _check_no_keras_mask(cache, *masks):
    """Raises ValueError if a Keras mask, which knows the new positions alone, meets a cache."""
    for mask in masks if cache is not None else ():
        if mask is not None:
            raise ValueError(
                "`mask` must be None where there is a `cache`: it says nothing of earlier "
                f"positions. Received: mask of shape {tuple(mask.shape)}. Give an "
                "`attention_mask` over all slots of the cache."
            )
