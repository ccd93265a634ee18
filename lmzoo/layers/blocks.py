"""A transformer block: attention, then feed-forward, each with a residual connection."""

import keras
from keras import ops

from lmzoo.layers.attention import CrossAttention, SelfAttention
from lmzoo.layers.checks import list_arguments
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.feed_forward import FeedForward
from lmzoo.layers.norms import make_norm
from lmzoo.layers.tensors import widen_policy

__all__ = ["TransformerBlock"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TransformerBlock(keras.layers.Layer):
    """One layer of a transformer encoder or decoder.

    Pre-norm (`norm_first`) normalizes the input of each sub-layer and leaves the residual path
    alone. Post-norm normalizes the sum, as the original transformer and BERT do. Keras masks, such
    as that of `Embedding(mask_zero=True)`, hide padding from attention and are passed on.

    Args:
        num_heads: int. N.
        intermediate_dim: int. F, the feed-forward width.
        head_dim, num_key_value_heads, rotary, max_wavelength, rotary_scaling, query_key_norm,
            scale, causal: as for `SelfAttention`.
        norm: "layer_norm" or "rms_norm".
        norm_epsilon: float. Of all norms, those of query and key included.
        norm_first: bool. Pre-norm if True, post-norm if False.
        activation, gated: as for `FeedForward`.
        use_bias: bool. Whether every projection has a bias.
        use_attention_bias: bool or None. Overrides it for query, key and value alone.
        use_output_bias: bool or None. Overrides it for the output of attention alone.
        use_norm_bias: bool. Whether layer norms have a bias.
        use_attention_norm: bool. Whether self-attention has a norm before it. Only a pre-norm block
            may lack it, such as the first one behind embeddings that are normalized already.
        cross_attention: bool. If True, a second attention over `context` follows the first.
        dropout: float in [0, 1). Applied to attention weights and to the result of each sub-layer.
        feed_forward_dropout: float in [0, 1). Applied in the middle of the feed-forward.
        initializer: Keras initializer of the kernels.
        output_initializer: that of the kernels that write to the residual path; None for the same.
        attention_chunks: int or "auto", the `chunks` of `SelfAttention`.
        float32_residual: bool. If True, the residual path, its norms and the output of the
            feed-forward are float32 at least.
    Call arguments:
        hidden: float (B, T, D).
        attention_mask: bool (B or 1, T or 1, S), True where a query may attend to a key, or None.
        bias: float (B or 1, N, T, S) added to the attention scores, or None.
        positions: int (B, T) or None, for rotary attention.
        cache: dict as `make_cache` returns it, or None.
        position: int or scalar tensor. The cache slot of the first of the T positions.
        context: float (B, S', C) or None, for cross-attention.
        context_mask: bool (B, S'), True for real tokens, or bool (B or 1, T or 1, S'), or None.
            Keras passes the mask of `context` here.
        return_weights: bool. Whether to return the weights of the self-attention, (B, N, T, S).
        reach: as for `SelfAttention`.
        mask: bool (B, T), True for real tokens, or None. Keras passes the mask of `hidden` here,
            or as `hidden_mask` in a call with several tensors.
    Returns:
        float (B, T, D) in the dtype of the residual path; or a tuple of it, the updated cache where
        there is one, and the weights where they are asked for.
    Raises:
        TypeError: if a size is not an int, or `attention_chunks` neither that nor "auto".
        ValueError: if sizes do not fit, an option is unknown or out of its range, `context` is
            given to a block without cross-attention, or a Keras mask comes with a cache.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; Xiong et al. 2020,
        https://arxiv.org/abs/2002.04745 (pre-norm).
    Example:
        >>> block = TransformerBlock(num_heads=4, intermediate_dim=64, causal=True, dropout=0.1)
        >>> tuple(block(keras.ops.ones((2, 5, 16))).shape)
        (2, 5, 16)
    """

    def __init__(
        self,
        num_heads,
        intermediate_dim,
        head_dim=None,
        num_key_value_heads=None,
        rotary=False,
        max_wavelength=10000.0,
        rotary_scaling=None,
        query_key_norm=False,
        scale=None,
        norm="layer_norm",
        norm_epsilon=1e-5,
        norm_first=True,
        activation="gelu",
        gated=False,
        use_bias=True,
        use_attention_bias=None,
        use_output_bias=None,
        use_norm_bias=True,
        use_attention_norm=True,
        cross_attention=False,
        dropout=0.0,
        feed_forward_dropout=0.0,
        initializer="glorot_uniform",
        output_initializer=None,
        float32_residual=False,
        causal=False,
        attention_chunks="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not (use_attention_norm or norm_first):
            raise ValueError(
                "`use_attention_norm` must be True in a post-norm block. Received: "
                f"use_attention_norm={use_attention_norm}, norm_first={norm_first}."
            )
        self.supports_masking = True
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.head_dim = head_dim
        self.num_key_value_heads = num_key_value_heads
        self.rotary = rotary
        self.max_wavelength = max_wavelength
        self.rotary_scaling = rotary_scaling
        self.query_key_norm = query_key_norm
        self.scale = scale
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.norm_first = norm_first
        self.activation = activation
        self.gated = gated
        self.use_bias = use_bias
        self.use_attention_bias = use_attention_bias
        self.use_output_bias = use_output_bias
        self.use_norm_bias = use_norm_bias
        self.use_attention_norm = use_attention_norm
        self.dropout = dropout
        self.feed_forward_dropout = feed_forward_dropout
        self.float32_residual = float32_residual
        self.causal = causal
        self._residual_policy = self.dtype_policy
        if float32_residual:
            self._residual_policy = widen_policy(self.dtype_policy)
            # The path must not be cast to the compute dtype on its way in.
            self.autocast = False
        self.initializer = keras.initializers.get(initializer)
        self.output_initializer = keras.initializers.get(output_initializer or initializer)
        shared = {
            "initializer": self.initializer,
            "output_initializer": self.output_initializer,
            "dtype": self.dtype_policy,
        }
        heads = {
            "num_heads": num_heads,
            "head_dim": head_dim,
            "num_key_value_heads": num_key_value_heads,
            "scale": scale,
            "dropout": dropout,
            "chunks": attention_chunks,
            "use_bias": use_bias if use_attention_bias is None else use_attention_bias,
            "use_output_bias": use_bias if use_output_bias is None else use_output_bias,
        }
        self.self_attention = SelfAttention(
            **heads,
            **shared,
            rotary=rotary,
            max_wavelength=max_wavelength,
            rotary_scaling=rotary_scaling,
            query_key_norm=query_key_norm,
            norm_epsilon=norm_epsilon,
            causal=causal,
            name="self_attention",
        )
        self.self_attention_norm = None
        if use_attention_norm:
            self.self_attention_norm = self._make_norm("self_attention_norm")
        self.cross_attention = None
        if cross_attention:
            self.cross_attention = CrossAttention(**heads, **shared, name="cross_attention")
            self.cross_attention_norm = self._make_norm("cross_attention_norm")
        self.feed_forward = FeedForward(
            intermediate_dim,
            activation=activation,
            gated=gated,
            use_bias=use_bias,
            dropout=feed_forward_dropout,
            float32_output=float32_residual,
            name="feed_forward",
            **shared,
        )
        self.feed_forward_norm = self._make_norm("feed_forward_norm")
        self.dropout_layer = Dropout(dropout, dtype=self._residual_policy, name="dropout")

    @property
    def attention_chunks(self):
        """int or "auto", the `chunks` of the attention layers."""
        return self.self_attention.chunks

    @attention_chunks.setter
    def attention_chunks(self, chunks):
        for attention in (self.self_attention, self.cross_attention):
            if attention is not None:
                attention.chunks = chunks

    def _make_norm(self, name):
        return make_norm(
            self.norm, self.norm_epsilon, name, self._residual_policy, self.use_norm_bias
        )

    def build(self, hidden_shape, context_shape=None):
        self.self_attention.build(hidden_shape)
        if self.self_attention_norm is not None:
            self.self_attention_norm.build(hidden_shape)
        if self.cross_attention is not None:
            self.cross_attention.build(hidden_shape, context_shape)
            self.cross_attention_norm.build(hidden_shape)
        self.feed_forward.build(hidden_shape)
        self.feed_forward_norm.build(hidden_shape)

    def call(
        self,
        hidden,
        attention_mask=None,
        bias=None,
        positions=None,
        cache=None,
        position=0,
        context=None,
        context_mask=None,
        return_weights=False,
        reach=None,
        mask=None,
        hidden_mask=None,
        training=None,
    ):
        self._check_context(context)
        hidden = ops.cast(hidden, self._residual_policy.compute_dtype)
        is_normed = self.norm_first and self.self_attention_norm is not None
        entering = self.self_attention_norm(hidden) if is_normed else hidden
        attended = self.self_attention(
            entering,
            attention_mask=attention_mask,
            bias=bias,
            positions=positions,
            cache=None if cache is None else cache["self"],
            position=position,
            return_weights=return_weights,
            reach=reach,
            mask=mask,
            hidden_mask=hidden_mask,
            training=training,
        )
        attended, *others = attended if isinstance(attended, tuple) else (attended,)
        hidden = self._add(hidden, attended, self.self_attention_norm, training)

        if self.cross_attention is not None:
            # Keras's mask of the context is (B, S'), one for attention (B, T, S').
            is_padding_mask = context_mask is not None and len(context_mask.shape) == 2
            masks = {("context_mask" if is_padding_mask else "attention_mask"): context_mask}
            entering = self.cross_attention_norm(hidden) if self.norm_first else hidden
            attended = self.cross_attention(
                entering,
                context=context,
                **masks,
                cache=None if cache is None else cache.get("context"),
                training=training,
            )
            hidden = self._add(hidden, attended, self.cross_attention_norm, training)

        entering = self.feed_forward_norm(hidden) if self.norm_first else hidden
        transformed = self.feed_forward(entering, training=training)
        hidden = self._add(hidden, transformed, self.feed_forward_norm, training)
        if cache is not None:
            others[0] = {**cache, "self": others[0]}
        return (hidden, *others) if others else hidden

    def _add(self, hidden, update, norm, training):
        hidden = hidden + self.dropout_layer(update, training=training)
        return hidden if self.norm_first else norm(hidden)

    def make_cache(self, batch_size, num_slots, context=None):
        """Makes an empty self-attention cache, with the keys and values of `context` if given.

        Args:
            batch_size: int or scalar tensor. B.
            num_slots: int or scalar tensor. How many positions fit.
            context: float (B, S', C) or None.
        Returns:
            dict with `self` and, for cross-attention, `context`.
        Raises:
            ValueError: if `context` is given to a block without cross-attention.
        """
        self._check_context(context)
        cache = {"self": self.self_attention.make_cache(batch_size, num_slots)}
        if context is not None:
            cache["context"] = self.cross_attention.make_cache(context)
        return cache

    def _check_context(self, context):
        if context is not None and self.cross_attention is None:
            raise ValueError(
                "`context` must be None in a block without cross-attention. Received: context of "
                f"shape {tuple(context.shape)}. Make the block with cross_attention=True."
            )

    def compute_output_spec(self, hidden, *args, **kwargs):
        # Not `compute_output_shape`, for which Keras takes the compute dtype. What comes with the
        # hidden states has no symbol.
        return keras.KerasTensor(hidden.shape, self._residual_policy.compute_dtype)

    def compute_output_shape(self, hidden_shape, context_shape=None):
        # `summary` asks for it.
        return hidden_shape

    def get_config(self):
        return {
            **super().get_config(),
            **list_arguments(self, TransformerBlock),
            "cross_attention": self.cross_attention is not None,
        }
