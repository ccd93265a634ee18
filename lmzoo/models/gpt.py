"""The GPT family: a decoder that reads from left to right."""

import keras
from keras import ops

from lmzoo.layers import TokenEmbedding, TransformerBlock, make_causal_mask, make_document_mask
from lmzoo.layers.checks import check_length
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.norms import make_norm
from lmzoo.layers.tensors import find_size
from lmzoo.models.backbone import Backbone, LearnedPositions, check_arguments, make_normal
from lmzoo.models.decoder_blocks import make_decoder_mask, run_decoder_blocks

__all__ = ["GPTBackbone"]


@keras.saving.register_keras_serializable(package="lmzoo")
class GPTBackbone(Backbone):
    """A decoder: turns token ids into hidden states, each attending to itself and earlier ones.

    The defaults are GPT-2: pre-norm, learned positions, tanh gelu, tied head. With
    `positions="rotary", norm="rms_norm", gated=True, activation="silu", use_bias=False` it is a
    Llama, with `sliding_window` also a Mistral, with `use_attention_bias=True` a Qwen2, with
    `query_key_norm=True` a Qwen3.

    One forward pass serves training, prefill and decoding. Without a cache the T tokens attend to
    each other. With one, their keys and values are written to its slots from `position` on, and
    they attend to all slots up to their own.

    Args:
        vocabulary_size: int. V.
        num_layers: int. How many blocks.
        num_heads: int. N.
        hidden_dim: int. D.
        intermediate_dim: int or None. F; None for 4 D.
        max_sequence_length: int. The longest context, in tokens.
        positions: "learned" or "rotary".
        max_wavelength: float. The base of the rotary angles.
        rotary_scaling: dict or None. Scales the rotary frequencies for longer texts: `kind` is
            "linear", "dynamic", "llama3" or "yarn", and `check_rotary_scaling` of
            `lmzoo.layers.attention.rotary_scaling` describes the fields of each.
        norm: "layer_norm" or "rms_norm".
        norm_epsilon: float.
        activation: str. The feed-forward's activation.
        gated: bool. Whether the feed-forward is gated (GLU).
        num_key_value_heads: int or None. K, shared by groups of queries; None for N.
        head_dim: int or None. H; None for D / N.
        query_key_norm: bool. Whether each head of query and key goes through an RMS norm before
            the rotary embedding.
        use_bias: bool. Whether every projection has a bias.
        use_attention_bias: bool or None. Overrides it for query, key and value.
        use_output_bias: bool or None. Overrides it for the output of attention.
        tied: bool. Whether the head uses the token embeddings.
        sliding_window: int or None. How many tokens each token attends to, itself included.
        dropout: float in [0, 1). On embeddings, attention weights and sub-layers.
        initializer_range: float. Standard deviation of the initial weights; those that write to the
            residual path have it divided by sqrt(2 * num_layers), as GPT-2 does.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T), True
            for real tokens, and `document_ids` int (B, T): tokens then attend to their own document
            only, whose positions count from 0.
        cache: dict as `make_cache` returns it, or None.
        position: int or scalar int tensor. The cache slot of the first token.
    Returns:
        float (B, T, D); with a cache the pair (hidden, updated cache).
    Raises:
        TypeError: if a size is not an int.
        ValueError: if sizes do not fit together, an option is unknown or out of its range, a
            sequence without padding is longer than the learned positions, or documents come with a
            cache.
    Reference: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; Touvron
        et al. 2023, https://arxiv.org/abs/2302.13971; Jiang et al. 2023,
        https://arxiv.org/abs/2310.06825; Yang et al. 2025, https://arxiv.org/abs/2505.09388
        (Qwen3).
    Example:
        >>> model = GPTBackbone(100, num_layers=2, num_heads=4, hidden_dim=16)
        >>> prompt, token = ops.array([[5, 7, 7]]), ops.array([[9]])
        >>> tuple(model.compute_logits(model({"token_ids": prompt})).shape)
        (1, 3, 100)
        >>> hidden, cache = model({"token_ids": prompt}, cache=model.make_cache(1, num_slots=8))
        >>> hidden, cache = model({"token_ids": token}, cache=cache, position=3)
        >>> tuple(hidden.shape)
        (1, 1, 16)
    """

    kind = "decoder"
    default_pooling = "last"

    def __init__(
        self,
        vocabulary_size,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=None,
        max_sequence_length=1024,
        positions="learned",
        max_wavelength=10000.0,
        rotary_scaling=None,
        norm="layer_norm",
        norm_epsilon=1e-5,
        activation="gelu_tanh",
        gated=False,
        num_key_value_heads=None,
        head_dim=None,
        query_key_norm=False,
        use_bias=True,
        use_attention_bias=None,
        use_output_bias=None,
        tied=True,
        sliding_window=None,
        dropout=0.0,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if positions not in ("learned", "rotary"):
            raise ValueError(
                f"`positions` must be 'learned' or 'rotary'. Received: positions={positions!r}."
            )
        if rotary_scaling is not None and positions != "rotary":
            raise ValueError(
                "`rotary_scaling` must be None where positions are not 'rotary'. Received: "
                f"rotary_scaling={rotary_scaling!r:.80}, positions={positions!r}."
            )
        sizes = {
            "num_layers": num_layers,
            "max_sequence_length": max_sequence_length,
            "intermediate_dim": intermediate_dim,
            "sliding_window": sliding_window,
        }
        check_arguments(dropout, {"initializer_range": initializer_range}, sizes)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = 4 * hidden_dim if intermediate_dim is None else intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.positions = positions
        self.max_wavelength = max_wavelength
        self.rotary_scaling = rotary_scaling
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.activation = activation
        self.gated = gated
        self.num_key_value_heads = num_heads if num_key_value_heads is None else num_key_value_heads
        self.head_dim = head_dim
        self.query_key_norm = query_key_norm
        self.use_bias = use_bias
        self.use_attention_bias = use_attention_bias
        self.use_output_bias = use_output_bias
        self.tied = tied
        self.sliding_window = sliding_window
        self.dropout = dropout
        self.initializer_range = initializer_range

        policy = self.dtype_policy
        normal = make_normal(initializer_range)
        self.token_embedding = TokenEmbedding(
            vocabulary_size, hidden_dim, tied, normal, dtype=policy, name="token_embedding"
        )
        self.position_embedding = None
        if positions == "learned":
            self.position_embedding = LearnedPositions(
                max_sequence_length, normal.clone(), dtype=policy, name="position_embedding"
            )
        self.dropout_layer = Dropout(dropout, dtype=policy, name="dropout")
        self.blocks = [
            TransformerBlock(
                num_heads,
                self.intermediate_dim,
                head_dim=head_dim,
                num_key_value_heads=num_key_value_heads,
                rotary=positions == "rotary",
                max_wavelength=max_wavelength,
                rotary_scaling=rotary_scaling,
                query_key_norm=query_key_norm,
                norm=norm,
                norm_epsilon=norm_epsilon,
                activation=activation,
                gated=gated,
                use_bias=use_bias,
                use_attention_bias=use_attention_bias,
                use_output_bias=use_output_bias,
                dropout=dropout,
                initializer=normal,
                output_initializer=make_normal(initializer_range / (2 * num_layers) ** 0.5),
                attention_chunks=self.attention_chunks,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(num_layers)
        ]
        self.final_norm = make_norm(norm, norm_epsilon, "final_norm", policy)
        self.build({"token_ids": (None, None)})

    def build(self, input_shape):
        hidden_shape = (None, None, self.hidden_dim)
        self.token_embedding.build(input_shape["token_ids"])
        if self.position_embedding is not None:
            self.position_embedding.build(hidden_shape)
        for block in self.blocks:
            block.build(hidden_shape)
        self.dropout_layer.build(hidden_shape)
        self.final_norm.build(hidden_shape)
        self.built = True

    def call(self, inputs, cache=None, position=0, training=None):
        attention_mask, positions, slots = self._make_mask(inputs, cache, position)
        hidden = self.token_embedding(inputs["token_ids"])
        if self.position_embedding is not None:
            hidden = hidden + self._embed_positions(hidden, positions)
        hidden, caches = run_decoder_blocks(
            self.blocks,
            self.dropout_layer(hidden, training=training),
            None if cache is None else cache["blocks"],
            window=self.sliding_window,
            remat=self.remat,
            attention_mask=attention_mask,
            positions=positions,
            position=position,
            training=training,
        )
        hidden = self.final_norm(hidden)
        return hidden if cache is None else (hidden, {"padding_mask": slots, "blocks": caches})

    def _embed_positions(self, hidden, positions):
        if positions is None:
            check_length(hidden.shape[1], self.max_sequence_length)
            positions = ops.expand_dims(ops.arange(ops.shape(hidden)[1], dtype="int32"), 0)
        return self.position_embedding(hidden, positions)

    def _make_mask(self, inputs, cache, position):
        """What each token attends to, and its position.

        Returns:
            attention_mask bool (B or 1, T, S), positions int32 (B or 1, T) or None for 0 to T - 1,
            and the padding mask of all slots, bool (B, S), or None where there is none.
        """
        padding_mask, document_ids = inputs.get("padding_mask"), inputs.get("document_ids")
        if cache is not None:
            _check_no_documents(document_ids)
        mask, slots = make_decoder_mask(inputs["token_ids"], padding_mask, cache, position)
        if document_ids is not None:
            mask = ops.logical_and(mask, make_document_mask(document_ids))
        positions = None
        if cache is not None and slots is None:
            # Padding behind the last token of a prompt may be where no position is any more.
            positions = ops.arange(find_size(inputs["token_ids"], axis=1), dtype="int32")
            positions = ops.minimum(positions + position, self.max_sequence_length - 1)
            positions = ops.expand_dims(positions, 0)
        elif not (padding_mask is None and slots is None and document_ids is None):
            # A token's position is the number of tokens before it that it may attend to, which
            # padding on either side and packed documents leave right.
            positions = ops.maximum(ops.sum(ops.cast(mask, "int32"), axis=-1) - 1, 0)
        if self.sliding_window is not None:
            _, length, num_slots = ops.shape(mask)
            window = make_causal_mask(length, num_slots, position, self.sliding_window)
            mask = ops.logical_and(mask, window)
        return mask, positions, slots

    def compute_hidden(self, inputs, training=None):
        return self(inputs, training=training)

    @property
    def generation_weights(self):
        return [] if self.tied else [self.token_embedding.output_embeddings]

    def compute_logits(self, hidden):
        """Scores every token of the vocabulary: (B, T, D) -> (B, T, V) in at least float32."""
        return self.token_embedding(hidden, reverse=True)

    def split_head(self, hidden):
        """The two factors of `compute_logits`: float (B, T, D) and the table (V, D)."""
        return hidden, self.token_embedding.output_table

    def make_cache(self, batch_size, num_slots):
        """Makes an empty key-value cache.

        Args:
            batch_size: int or scalar tensor. B.
            num_slots: int or scalar tensor. How many tokens fit, prompt and new ones.
        Returns:
            dict with `padding_mask` bool (B, S), True where a slot holds a real token, and
            `blocks`. Where no prompt has padding, the mask may be replaced by None.
        """
        return {
            "padding_mask": ops.zeros((batch_size, num_slots), "bool"),
            "blocks": [block.make_cache(batch_size, num_slots) for block in self.blocks],
        }

    def compute_output_shape(self, input_shape):
        return (*input_shape["token_ids"], self.hidden_dim)


def _check_no_documents(document_ids):
    if document_ids is not None:
        raise ValueError(
            "`document_ids` must be None where there is a `cache`. Received: document_ids of shape "
            f"{tuple(document_ids.shape)}."
        )
