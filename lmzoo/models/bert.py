"""The BERT family: encoders in which every token attends to every other."""

import keras
from keras import ops

from lmzoo.layers import RelativePositionBias, TokenEmbedding, TransformerBlock, make_padding_mask
from lmzoo.layers.checks import check_length
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.heads import find_first, pool
from lmzoo.layers.norms import make_norm
from lmzoo.models import encoder_blocks
from lmzoo.models.backbone import Backbone, LearnedPositions, check_arguments, make_truncated_normal

__all__ = ["BertBackbone"]


@keras.saving.register_keras_serializable(package="lmzoo")
class BertBackbone(Backbone):
    """An encoder: turns token ids into hidden states, each attending to the whole text.

    The defaults are BERT base. With `position_offset=2, num_segments=1` it is a RoBERTa (whose only
    segment is a vector that all tokens share), with `num_segments=0, pooler=False` a DistilBERT,
    with `pooler=False` and an `embedding_dim` an ELECTRA, and with `position_offset=2,
    num_segments=0, relative_attention=True` an MPNet.

    Args:
        vocabulary_size: int. V.
        num_layers: int. How many blocks.
        num_heads: int. N.
        hidden_dim: int. D.
        intermediate_dim: int or None. F; None for 4 D.
        max_sequence_length: int. The longest text, in tokens.
        num_segments: int. How many segments have an embedding; 0 for none.
        position_offset: int. The row of the position table that the first token takes. RoBERTa's
            positions begin after its padding id.
        pooler: bool. Whether there is a `pooled_output`.
        embedding_dim: int or None. E, the width of the token, position and segment embeddings. If
            it is not D, a dense layer projects them to D after their norm. None for D.
        relative_attention: bool. Whether a learned bias for each distance and head is added to the
            attention scores of every block, beside the learned positions.
        num_buckets: int. How many distances have a bias of their own, as for
            `RelativePositionBias`.
        max_distance: int. From here on all distances share a bias.
        norm_epsilon: float.
        activation: str. The feed-forward's activation.
        dropout: float in [0, 1). On embeddings, attention weights and sub-layers.
        initializer_range: float. Standard deviation of the initial weights, which are drawn again
            where they are more than two of them away.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T), True
            for real tokens, and `segment_ids` int (B, T), 0 where there are none.
        attention_layers: tuple of int. The blocks whose attention weights are returned; -1 is the
            last one.
    Returns:
        dict with `sequence_output` float (B, T, D); with a pooler `pooled_output` float (B, D),
        made of the first real token; and where asked for `attention_weights`, a list of float
        (B, N, T, T) in the order of `attention_layers`.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if sizes do not fit together, an option is out of its range, a sequence without
            padding is longer than the positions, or a layer is asked for that is not there.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805; Liu et al. 2019,
        https://arxiv.org/abs/1907.11692 (RoBERTa); Sanh et al. 2019,
        https://arxiv.org/abs/1910.01108 (DistilBERT); Clark et al. 2020,
        https://arxiv.org/abs/2003.10555 (ELECTRA); Song et al. 2020,
        https://arxiv.org/abs/2004.09297 (MPNet). Positions count from the first real token, so that
        padding on the left changes nothing; the originals have none there.
    Example:
        >>> model = BertBackbone(100, num_layers=2, num_heads=4, hidden_dim=16)
        >>> outputs = model({"token_ids": ops.array([[5, 7, 7]])}, attention_layers=(-1,))
        >>> tuple(outputs["sequence_output"].shape), tuple(outputs["pooled_output"].shape)
        ((1, 3, 16), (1, 16))
        >>> tuple(outputs["attention_weights"][0].shape)
        (1, 4, 3, 3)
    """

    def __init__(
        self,
        vocabulary_size,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=None,
        max_sequence_length=512,
        num_segments=2,
        position_offset=0,
        pooler=True,
        embedding_dim=None,
        relative_attention=False,
        num_buckets=32,
        max_distance=128,
        norm_epsilon=1e-12,
        activation="gelu",
        dropout=0.1,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {
            "num_layers": num_layers,
            "max_sequence_length": max_sequence_length,
            "intermediate_dim": intermediate_dim,
            "num_segments": num_segments or None,
            "position_offset": position_offset or None,
            "embedding_dim": embedding_dim,
        }
        check_arguments(dropout, {"initializer_range": initializer_range}, sizes)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = 4 * hidden_dim if intermediate_dim is None else intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.position_offset = position_offset
        self.pooler = pooler
        self.embedding_dim = embedding_dim
        self.relative_attention = relative_attention
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.norm_epsilon = norm_epsilon
        self.activation = activation
        self.dropout = dropout
        self.initializer_range = initializer_range

        policy = self.dtype_policy
        embedding_dim = embedding_dim or hidden_dim
        normal = make_truncated_normal(initializer_range)
        self.token_embedding = TokenEmbedding(
            vocabulary_size,
            embedding_dim,
            initializer=normal,
            dtype=policy,
            name="token_embedding",
        )
        self.position_embedding = LearnedPositions(
            max_sequence_length + position_offset,
            normal.clone(),
            dtype=policy,
            name="position_embedding",
        )
        self.segment_embedding = None
        if num_segments:
            self.segment_embedding = TokenEmbedding(
                num_segments,
                embedding_dim,
                initializer=normal.clone(),
                dtype=policy,
                name="segment_embedding",
            )
        self.embedding_norm = make_norm("layer_norm", norm_epsilon, "embedding_norm", policy)
        self.dropout_layer = Dropout(dropout, dtype=policy, name="dropout")
        self.embedding_projection = None
        if embedding_dim != hidden_dim:
            self.embedding_projection = self._make_dense("embedding_projection")
        self.relative_position_bias = None
        if relative_attention:
            self.relative_position_bias = RelativePositionBias(
                num_heads,
                num_buckets=num_buckets,
                max_distance=max_distance,
                initializer=normal.clone(),
                dtype=policy,
                name="relative_position_bias",
            )
        self.blocks = [
            TransformerBlock(
                num_heads,
                self.intermediate_dim,
                norm_epsilon=norm_epsilon,
                norm_first=False,
                activation=activation,
                dropout=dropout,
                initializer=normal,
                attention_chunks=self.attention_chunks,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(num_layers)
        ]
        self.pooler_dense = None
        if pooler:
            self.pooler_dense = self._make_dense("pooler", activation="tanh")
        self.build({"token_ids": (None, None)})

    def _make_dense(self, name, activation=None):
        return keras.layers.Dense(
            self.hidden_dim,
            activation=activation,
            kernel_initializer=make_truncated_normal(self.initializer_range),
            dtype=self.dtype_policy,
            name=name,
        )

    @property
    def input_dtypes(self):
        segments = {"segment_ids": "int32"} if self.num_segments > 1 else {}
        return {**super().input_dtypes, **segments}

    def build(self, input_shape):
        embedding_shape = (None, None, self.token_embedding.hidden_dim)
        hidden_shape = (None, None, self.hidden_dim)
        self.token_embedding.build(input_shape["token_ids"])
        self.position_embedding.build(embedding_shape)
        if self.segment_embedding is not None:
            self.segment_embedding.build(input_shape["token_ids"])
        self.embedding_norm.build(embedding_shape)
        self.dropout_layer.build(embedding_shape)
        if self.embedding_projection is not None:
            self.embedding_projection.build(embedding_shape)
        if self.relative_position_bias is not None:
            self.relative_position_bias.build(hidden_shape)
        for block in self.blocks:
            block.build(hidden_shape)
        if self.pooler_dense is not None:
            self.pooler_dense.build((None, self.hidden_dim))
        self.built = True

    def call(self, inputs, attention_layers=(), training=None):
        padding_mask = inputs.get("padding_mask")
        hidden = self._embed(inputs, training)
        attention_mask = None if padding_mask is None else make_padding_mask(padding_mask)
        bias = None
        if self.relative_position_bias is not None:
            length = ops.shape(hidden)[1]
            bias = self.relative_position_bias(query_length=length, key_length=length)
        outputs = encoder_blocks.run_encoder_blocks(
            self.blocks,
            hidden,
            [attention_mask] * self.num_layers,
            bias,
            attention_layers,
            remat=self.remat,
            training=training,
        )
        if self.pooler_dense is not None:
            first = pool(outputs["sequence_output"], padding_mask, "cls")
            outputs["pooled_output"] = self.pooler_dense(first)
        return outputs

    def _embed(self, inputs, training):
        token_ids, segment_ids = inputs["token_ids"], inputs.get("segment_ids")
        hidden = self.token_embedding(token_ids)
        if self.segment_embedding is not None:
            if segment_ids is None or self.num_segments == 1:
                segment_ids = ops.zeros_like(token_ids)
            hidden = hidden + self.segment_embedding(segment_ids)
        positions = self._find_positions(token_ids, inputs.get("padding_mask"))
        hidden = hidden + self.position_embedding(hidden, positions)
        hidden = self.dropout_layer(self.embedding_norm(hidden), training=training)
        if self.embedding_projection is None:
            return hidden
        # (B, T, E) -> (B, T, D)
        return self.embedding_projection(hidden)

    def _find_positions(self, token_ids, padding_mask):
        """The row of the position table for each token, int32 (B or 1, T)."""
        positions = ops.expand_dims(ops.arange(ops.shape(token_ids)[1], dtype="int32"), 0)
        if padding_mask is None:
            check_length(token_ids.shape[1], self.max_sequence_length)
        else:
            first = ops.expand_dims(find_first(padding_mask), 1)
            # (1, T), (B, 1) -> (B, T). Padding takes the first row: there may be more of it than
            # there are positions.
            positions = ops.where(ops.cast(padding_mask, "bool"), positions - first, 0)
        return positions + self.position_offset

    def compute_logits(self, hidden):
        """Scores every token of the vocabulary: (B, T, E) -> (B, T, V) in at least float32."""
        return self.token_embedding(hidden, reverse=True)

    def compute_output_spec(self, inputs, attention_layers=(), training=None):
        return encoder_blocks.make_encoder_specs(self, inputs, attention_layers)

    def compute_output_shape(self, input_shape):
        return encoder_blocks.compute_encoder_shapes(self, input_shape)
