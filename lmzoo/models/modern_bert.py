"""ModernBERT: an encoder with rotary positions, most of whose layers attend locally."""

import types

import keras
from keras import ops

from lmzoo.layers import TokenEmbedding, TransformerBlock, make_padding_mask, make_window_mask
from lmzoo.layers.checks import check_size
from lmzoo.layers.dropout import Dropout
from lmzoo.layers.norms import make_norm
from lmzoo.models import encoder_blocks
from lmzoo.models.backbone import Backbone, check_arguments, make_truncated_normal

__all__ = ["ModernBertBackbone"]


@keras.saving.register_keras_serializable(package="lmzoo")
class ModernBertBackbone(Backbone):
    """An encoder with rotary positions whose layers alternate global and local attention.

    Every third block attends to the whole text, beginning with the first; the others attend to a
    window around each token. Blocks are pre-norm with a gated feed-forward, and no dense layer or
    norm has a bias. The defaults are ModernBERT base.

    Args:
        vocabulary_size: int. V.
        num_layers: int. How many blocks.
        num_heads: int. N.
        hidden_dim: int. D.
        intermediate_dim: int. F.
        max_sequence_length: int. The longest text that tasks read, in tokens; rotary positions set
            no limit of their own.
        global_attention_every: int. Block i is global if this divides i.
        local_attention: int. The window of local blocks: each token attends to the
            `local_attention // 2` tokens on each side of it, and to itself.
        global_max_wavelength: float. The base of the rotary angles in global blocks.
        local_max_wavelength: float. The base of the rotary angles in local blocks.
        norm_epsilon: float.
        activation: str. The feed-forward's activation.
        dropout: float in [0, 1). On embeddings, attention weights and sub-layers.
        initializer_range: float. Standard deviation of the initial weights, which are drawn again
            where they are more than two of them away; those that write to the residual path have it
            divided by sqrt(2 * num_layers).
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T), True
            for real tokens.
        attention_layers: tuple of int. The blocks whose attention weights are returned; -1 is the
            last one.
    Returns:
        dict with `sequence_output` float (B, T, D) and, where asked for, `attention_weights`, a
        list of float (B, N, T, T) in the order of `attention_layers`.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if sizes do not fit together, an option is out of its range, or a layer is asked
            for that is not there.
    Reference: Warner et al. 2024, https://arxiv.org/abs/2412.13663.
    Example:
        >>> model = ModernBertBackbone(
        ...     100, num_layers=4, num_heads=4, hidden_dim=16, intermediate_dim=24
        ... )
        >>> outputs = model({"token_ids": ops.array([[5, 7, 7]])})
        >>> tuple(outputs["sequence_output"].shape)
        (1, 3, 16)
    """

    masked_lm_head_options = types.MappingProxyType({"activation": "gelu", "use_bias": False})

    def __init__(
        self,
        vocabulary_size,
        num_layers=22,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=1152,
        max_sequence_length=8192,
        global_attention_every=3,
        local_attention=128,
        global_max_wavelength=160000.0,
        local_max_wavelength=10000.0,
        norm_epsilon=1e-5,
        activation="gelu",
        dropout=0.0,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {
            "num_layers": num_layers,
            "max_sequence_length": max_sequence_length,
            "global_attention_every": global_attention_every,
        }
        check_arguments(dropout, {"initializer_range": initializer_range}, sizes)
        check_size(2, local_attention=local_attention)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.global_attention_every = global_attention_every
        self.local_attention = local_attention
        self.global_max_wavelength = global_max_wavelength
        self.local_max_wavelength = local_max_wavelength
        self.norm_epsilon = norm_epsilon
        self.activation = activation
        self.dropout = dropout
        self.initializer_range = initializer_range

        policy = self.dtype_policy
        normal = make_truncated_normal(initializer_range)
        self.token_embedding = TokenEmbedding(
            vocabulary_size, hidden_dim, initializer=normal, dtype=policy, name="token_embedding"
        )
        self.embedding_norm = self._make_norm("embedding_norm")
        self.dropout_layer = Dropout(dropout, dtype=policy, name="dropout")
        self.blocks = [
            TransformerBlock(
                num_heads,
                intermediate_dim,
                rotary=True,
                max_wavelength=(
                    global_max_wavelength if self._is_global(index) else local_max_wavelength
                ),
                norm_epsilon=norm_epsilon,
                activation=activation,
                gated=True,
                use_bias=False,
                use_norm_bias=False,
                # The embeddings are normalized already.
                use_attention_norm=index > 0,
                dropout=dropout,
                initializer=normal,
                output_initializer=make_truncated_normal(
                    initializer_range / (2 * num_layers) ** 0.5
                ),
                attention_chunks=self.attention_chunks,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(num_layers)
        ]
        self.final_norm = self._make_norm("final_norm")
        self.build({"token_ids": (None, None)})

    def _make_norm(self, name):
        return make_norm("layer_norm", self.norm_epsilon, name, self.dtype_policy, use_bias=False)

    def _is_global(self, index):
        return index % self.global_attention_every == 0

    @property
    def head_options(self):
        return {
            "hidden_activation": "gelu",
            "use_hidden_bias": False,
            "hidden_norm_epsilon": self.norm_epsilon,
        }

    def build(self, input_shape):
        hidden_shape = (None, None, self.hidden_dim)
        self.token_embedding.build(input_shape["token_ids"])
        self.embedding_norm.build(hidden_shape)
        self.dropout_layer.build(hidden_shape)
        for block in self.blocks:
            block.build(hidden_shape)
        self.final_norm.build(hidden_shape)
        self.built = True

    def call(self, inputs, attention_layers=(), training=None):
        token_ids, padding_mask = inputs["token_ids"], inputs.get("padding_mask")
        global_mask = None if padding_mask is None else make_padding_mask(padding_mask)
        local_mask = make_window_mask(ops.shape(token_ids)[1], self.local_attention // 2)
        if global_mask is not None:
            local_mask = ops.logical_and(local_mask, global_mask)
        hidden = self.embedding_norm(self.token_embedding(token_ids))
        outputs = encoder_blocks.run_encoder_blocks(
            self.blocks,
            self.dropout_layer(hidden, training=training),
            [
                global_mask if self._is_global(index) else local_mask
                for index in range(self.num_layers)
            ],
            attention_layers=attention_layers,
            reaches=[
                None if self._is_global(index) else (self.local_attention // 2,) * 2
                for index in range(self.num_layers)
            ],
            remat=self.remat,
            training=training,
        )
        return {**outputs, "sequence_output": self.final_norm(outputs["sequence_output"])}

    def compute_logits(self, hidden):
        """Scores every token of the vocabulary: (B, T, D) -> (B, T, V) in at least float32."""
        return self.token_embedding(hidden, reverse=True)

    def compute_output_spec(self, inputs, attention_layers=(), training=None):
        return encoder_blocks.make_encoder_specs(self, inputs, attention_layers)

    def compute_output_shape(self, input_shape):
        return encoder_blocks.compute_encoder_shapes(self, input_shape)
