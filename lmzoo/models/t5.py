"""The T5 family: an encoder for the source and a decoder for the target."""

import keras
from keras import ops

from lmzoo.layers import RelativePositionBias, TokenEmbedding, TransformerBlock, make_padding_mask
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.norms import make_norm
from lmzoo.models.backbone import Backbone, check_arguments, make_normal
from lmzoo.models.decoder_blocks import make_decoder_mask, run_decoder_blocks
from lmzoo.models.encoder_blocks import run_encoder_blocks

__all__ = ["T5Backbone"]


@keras.saving.register_keras_serializable(package="lmzoo")
class T5Backbone(Backbone):
    """An encoder and a decoder: turns source and target ids into hidden states of both.

    The defaults are T5 small. With `activation="gelu_tanh", gated=True, tied=False` it is a T5 1.1,
    Flan-T5 or mT5.

    Args:
        vocabulary_size: int. V.
        num_layers: int. How many blocks the encoder has.
        num_decoder_layers: int or None. How many the decoder has; None for as many.
        num_heads: int. N.
        hidden_dim: int. D.
        head_dim: int. H; N * H need not be D.
        intermediate_dim: int. F.
        max_sequence_length: int. The longest source, and the longest target, that tasks read;
            relative positions set no limit of their own.
        num_buckets: int. Buckets of relative positions.
        max_distance: int. From here on all distances share a bucket.
        activation: str. The feed-forward's activation.
        gated: bool. Whether the feed-forward is gated (GLU).
        tied: bool. Whether the head uses the token embeddings.
        norm_epsilon: float.
        dropout: float in [0, 1). On embeddings, attention weights, the middle of each feed-forward,
            sub-layers and the last norms.
        initializer_factor: float. Multiplies the standard deviation of all initial weights.
    Call arguments:
        inputs: dict with `encoder_token_ids` int (B, S), `decoder_token_ids` int (B, T) and,
            optionally, `encoder_padding_mask` bool (B, S) and `decoder_padding_mask` bool (B, T),
            True for real tokens.
    Returns:
        dict with `encoder_sequence_output` float (B, S, D) and `decoder_sequence_output` float
        (B, T, D).
    Raises:
        TypeError: if a size is not an int.
        ValueError: if sizes do not fit together or an option is unknown or out of its range; when
            called, if source or target is missing.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683; Shazeer 2020,
        https://arxiv.org/abs/2002.05202 (1.1); Xue et al. 2021, https://arxiv.org/abs/2010.11934
        (mT5). Scores are not divided by sqrt(H); initial weights make up for it. Where the compute
        dtype is float16, the residual path stays float32, because published T5s exceed 65504 there.
        Dropout is drawn for each position, as in Hugging Face's T5; the TensorFlow code published
        with the paper draws it once for all positions of a text.
    Example:
        >>> model = T5Backbone(100, num_layers=2, num_heads=4, hidden_dim=16, head_dim=8)
        >>> source, target = ops.array([[5, 7, 7, 1]]), ops.array([[0, 9]])
        >>> outputs = model({"encoder_token_ids": source, "decoder_token_ids": target})
        >>> tuple(model.compute_logits(outputs["decoder_sequence_output"]).shape)
        (1, 2, 100)
        >>> cache = model.make_cache(model.encode(source), num_slots=8)
        >>> hidden, cache = model.decode(target, cache=cache, position=0)
        >>> tuple(hidden.shape)
        (1, 2, 16)
    """

    kind = "encoder_decoder"
    default_pooling = "mean"
    required_inputs = ("encoder_token_ids", "decoder_token_ids")
    # All blocks of a stack add the same bias of relative positions.
    _input_layer_names = ("token_embedding", "encoder_bias", "decoder_bias")

    def __init__(
        self,
        vocabulary_size,
        num_layers=6,
        num_decoder_layers=None,
        num_heads=8,
        hidden_dim=512,
        head_dim=64,
        intermediate_dim=2048,
        max_sequence_length=512,
        num_buckets=32,
        max_distance=128,
        activation="relu",
        gated=False,
        tied=True,
        norm_epsilon=1e-6,
        dropout=0.1,
        initializer_factor=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {
            "num_layers": num_layers,
            "num_decoder_layers": num_decoder_layers,
            "max_sequence_length": max_sequence_length,
        }
        check_arguments(dropout, {"initializer_factor": initializer_factor}, sizes)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_decoder_layers = num_layers if num_decoder_layers is None else num_decoder_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.head_dim = head_dim
        self.intermediate_dim = intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.activation = activation
        self.gated = gated
        self.tied = tied
        self.norm_epsilon = norm_epsilon
        self.dropout = dropout
        self.initializer_factor = initializer_factor

        policy = self.dtype_policy
        self._float32_residual = self.compute_dtype == "float16"
        self.token_embedding = TokenEmbedding(
            vocabulary_size,
            hidden_dim,
            tied,
            make_normal(initializer_factor),
            dtype=policy,
            name="token_embedding",
        )
        self.dropout_layer = Dropout(dropout, dtype=policy, name="dropout")
        self.encoder_bias = self._make_bias("encoder_bias", bidirectional=True)
        self.encoder_blocks = self._make_blocks("encoder_block", num_layers)
        self.encoder_norm = self._make_norm("encoder_norm")
        self.decoder_bias = self._make_bias("decoder_bias", bidirectional=False)
        self.decoder_blocks = self._make_blocks(
            "decoder_block", self.num_decoder_layers, cross_attention=True
        )
        self.decoder_norm = self._make_norm("decoder_norm")
        self.build({name: (None, None) for name in self.required_inputs})

    def _make_bias(self, name, bidirectional):
        return RelativePositionBias(
            self.num_heads,
            bidirectional,
            self.num_buckets,
            self.max_distance,
            make_normal(self.initializer_factor * self.hidden_dim**-0.5),
            dtype=self.dtype_policy,
            name=name,
        )

    def _make_blocks(self, name, num_layers, cross_attention=False):
        return [
            TransformerBlock(
                self.num_heads,
                self.intermediate_dim,
                head_dim=self.head_dim,
                scale=1.0,
                norm="rms_norm",
                norm_epsilon=self.norm_epsilon,
                activation=self.activation,
                gated=self.gated,
                use_bias=False,
                cross_attention=cross_attention,
                dropout=self.dropout,
                feed_forward_dropout=self.dropout,
                initializer=_make_fan_in(self.initializer_factor),
                float32_residual=self._float32_residual,
                attention_chunks=self.attention_chunks,
                dtype=self.dtype_policy,
                name=f"{name}_{index}",
            )
            for index in range(num_layers)
        ]

    def _make_norm(self, name):
        dtype = "float32" if self._float32_residual else self.dtype_policy
        return make_norm("rms_norm", self.norm_epsilon, name, dtype)

    def list_block_stacks(self):
        return [self.encoder_blocks, self.decoder_blocks]

    @property
    def input_dtypes(self):
        one = super().input_dtypes
        stacks = ("encoder", "decoder")
        return {f"{stack}_{name}": one[name] for stack in stacks for name in one}

    def build(self, input_shape):
        hidden_shape = (None, None, self.hidden_dim)
        self.token_embedding.build(input_shape["encoder_token_ids"])
        self.dropout_layer.build(hidden_shape)
        for bias in (self.encoder_bias, self.decoder_bias):
            bias.build(hidden_shape)
        for block in self.encoder_blocks:
            block.build(hidden_shape)
        for block in self.decoder_blocks:
            block.build(hidden_shape, hidden_shape)
        for norm in (self.encoder_norm, self.decoder_norm):
            norm.build(hidden_shape)
        self._shrink_weights()
        self.built = True

    def _shrink_weights(self):
        """Divides initial query kernels by sqrt(H), and an untied head by sqrt(D).

        T5 scales neither its attention scores nor the logits of an untied head.
        """
        if not self.tied:
            table = self.token_embedding.output_embeddings
            table.assign(table * self.hidden_dim**-0.5)
        for block in [*self.encoder_blocks, *self.decoder_blocks]:
            fused = block.self_attention.query_key_value.kernel
            width = self.num_heads * self.head_dim
            # (D, 3 N H): queries come first
            is_query = ops.arange(3 * width) < width
            kernel = ops.convert_to_tensor(fused)
            fused.assign(ops.where(is_query, kernel * self.head_dim**-0.5, kernel))
            if block.cross_attention is not None:
                kernel = block.cross_attention.query.kernel
                kernel.assign(kernel * self.head_dim**-0.5)

    def call(self, inputs, training=None):
        padding_mask = inputs.get("encoder_padding_mask")
        context = self.encode(inputs["encoder_token_ids"], padding_mask, training=training)
        hidden = self.decode(
            inputs["decoder_token_ids"],
            inputs.get("decoder_padding_mask"),
            context=context,
            context_mask=padding_mask,
            training=training,
        )
        return {"encoder_sequence_output": context, "decoder_sequence_output": hidden}

    def encode(self, token_ids, padding_mask=None, training=None):
        """Encodes the source.

        Args:
            token_ids: int (B, S).
            padding_mask: bool (B, S), True for real tokens, or None.
            training: bool or None.
        Returns:
            float (B, S, D).
        """
        length = ops.shape(token_ids)[1]
        attention_mask = None if padding_mask is None else make_padding_mask(padding_mask)
        bias = self.encoder_bias(query_length=length, key_length=length)
        hidden = self._embed(token_ids, training)
        masks = [attention_mask] * self.num_layers
        outputs = run_encoder_blocks(
            self.encoder_blocks, hidden, masks, bias, remat=self.remat, training=training
        )
        return self._finish(outputs["sequence_output"], self.encoder_norm, training)

    def decode(
        self,
        token_ids,
        padding_mask=None,
        context=None,
        context_mask=None,
        cache=None,
        position=0,
        training=None,
    ):
        """Decodes the target so far, each token attending to earlier ones and to the whole source.

        Args:
            token_ids: int (B, T).
            padding_mask: bool (B, T) or None.
            context: float (B, S, D), as `encode` returns it; None with a cache.
            context_mask: bool (B, S) or None.
            cache: dict as `make_cache` returns it, or None.
            position: int or scalar int tensor. The cache slot of the first token.
            training: bool or None.
        Returns:
            float (B, T, D); with a cache the pair (hidden, updated cache).
        """
        attention_mask, slots = make_decoder_mask(token_ids, padding_mask, cache, position)
        if cache is not None:
            context_mask = cache["context_mask"]
        _, length, num_slots = ops.shape(attention_mask)
        hidden, caches = run_decoder_blocks(
            self.decoder_blocks,
            self._embed(token_ids, training),
            None if cache is None else cache["blocks"],
            remat=self.remat,
            attention_mask=attention_mask,
            bias=self.decoder_bias(query_length=length, key_length=num_slots, position=position),
            position=position,
            context=context,
            context_mask=None if context_mask is None else make_padding_mask(context_mask),
            training=training,
        )
        hidden = self._finish(hidden, self.decoder_norm, training)
        if cache is None:
            return hidden
        return hidden, {"padding_mask": slots, "context_mask": context_mask, "blocks": caches}

    def _embed(self, token_ids, training):
        # The blocks cast it to the dtype of their residual path.
        return self.dropout_layer(self.token_embedding(token_ids), training=training)

    def _finish(self, hidden, norm, training):
        return self.dropout_layer(norm(hidden), training=training)

    def compute_hidden(self, inputs, training=None):
        """As `Backbone.compute_hidden`, of the encoder alone."""
        return self.encode(inputs["token_ids"], inputs.get("padding_mask"), training=training)

    @property
    def generation_weights(self):
        layers = [self.decoder_bias, *self.decoder_blocks, self.decoder_norm]
        own = [] if self.tied else [self.token_embedding.output_embeddings]
        return own + [weight for layer in layers for weight in layer.weights]

    def compute_logits(self, hidden):
        """Scores every token of the vocabulary: (B, T, D) -> (B, T, V) in at least float32.

        Where the head is tied, hidden states are divided by sqrt(D) first.
        """
        return self.token_embedding(self.split_head(hidden)[0], reverse=True)

    def split_head(self, hidden):
        """The two factors of `compute_logits`: float (B, T, D) and the table (V, D)."""
        if self.tied:
            hidden = hidden * self.hidden_dim**-0.5
        return hidden, self.token_embedding.output_table

    def make_cache(self, context, num_slots, context_mask=None):
        """Makes an empty cache for the target, with the keys and values of the source.

        Args:
            context: float (B, S, D), as `encode` returns it.
            num_slots: int or scalar tensor. How many tokens of the target fit.
            context_mask: bool (B, S) or None.
        Returns:
            dict of `padding_mask` bool (B, L), True where a slot holds a real token,
            `context_mask` bool (B, S), and `blocks`.
        """
        batch_size = ops.shape(context)[0]
        if context_mask is None:
            context_mask = ops.ones(ops.shape(context)[:2], "bool")
        return {
            "padding_mask": ops.zeros((batch_size, num_slots), "bool"),
            "context_mask": context_mask,
            "blocks": [
                block.make_cache(batch_size, num_slots, context) for block in self.decoder_blocks
            ],
        }

    def compute_output_shape(self, input_shape):
        return {
            "encoder_sequence_output": (*input_shape["encoder_token_ids"], self.hidden_dim),
            "decoder_sequence_output": (*input_shape["decoder_token_ids"], self.hidden_dim),
        }


def _make_fan_in(factor):
    """A normal whose deviation is `factor` over the square root of a kernel's input size."""
    if factor == 0:
        return keras.initializers.Zeros()
    return keras.initializers.VarianceScaling(factor**2, "fan_in", "untruncated_normal")
