"""Token embeddings, and the logits that the same table gives."""

import keras
from keras import ops

from lmzoo.layers.checks import check_size, list_arguments
from lmzoo.layers.contexts import replaced_embeddings
from lmzoo.layers.litert_ops import look_up
from lmzoo.layers.quantized import QuantizedMatrix
from lmzoo.layers.tensors import at_least_float32, flatten_positions, restore_positions

__all__ = ["TokenEmbedding", "project"]


def project(hidden, table):
    """Logits of a table: (R, D), (V, D) or a `QuantizedMatrix` -> (R, V)."""
    if isinstance(table, QuantizedMatrix):
        return table.multiply(hidden)
    # In a graph the transposition costs nothing: TensorFlow folds it into the product.
    return ops.matmul(hidden, ops.transpose(ops.cast(table, hidden.dtype)))


@keras.saving.register_keras_serializable(package="lmzoo")
class TokenEmbedding(keras.layers.Layer):
    """Token embeddings whose table also gives logits (reversible embedding), tied or untied.

    Both tables are stored (V, D). A look-up casts only the rows that it needs, so that a bfloat16
    policy does not copy the whole table at every call.

    Args:
        vocabulary_size: int. V.
        hidden_dim: int. D.
        tied: bool. If True, logits are computed with the embeddings; if False, with a second table.
        initializer: Keras initializer of both tables.
    Call arguments:
        inputs: int (B, T), or float (B, T, D) if `reverse`.
        reverse: bool. If True, gives logits.
    Returns:
        float (B, T, D) in the compute dtype, or logits (B, T, V) in at least float32.
    Raises:
        ValueError: if `vocabulary_size` or `hidden_dim` is not positive.
    Reference: Press and Wolf 2017, https://arxiv.org/abs/1608.05859 (tied weights).
    Example:
        >>> embed = TokenEmbedding(vocabulary_size=100, hidden_dim=8)
        >>> hidden = embed(keras.ops.array([[5, 7, 7]]))
        >>> logits = embed(hidden, reverse=True)
        >>> tuple(hidden.shape), tuple(logits.shape)
        ((1, 3, 8), (1, 3, 100))
    """

    def __init__(
        self, vocabulary_size, hidden_dim, tied=True, initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        check_size(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim)
        self.supports_masking = True
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.tied = tied
        self.initializer = keras.initializers.get(initializer)

    def build(self, inputs_shape):
        shape = (self.vocabulary_size, self.hidden_dim)
        self.embeddings = self.add_weight(
            shape=shape, initializer=self.initializer, name="embeddings", autocast=False
        )
        if not self.tied:
            # A clone, since one instance gives the same values whenever it is called.
            self.output_embeddings = self.add_weight(
                shape=shape,
                initializer=self.initializer.clone(),
                name="output_embeddings",
                autocast=False,
            )

    @property
    def output_table(self):
        """The table (V, D) that gives logits."""
        return self.embeddings if self.tied else self.output_embeddings

    def call(self, inputs, reverse=False):
        if not reverse:
            replaced = replaced_embeddings(self)
            if replaced is not None:
                return replaced
            if isinstance(self.embeddings, QuantizedMatrix):
                return self.embeddings.look_up(inputs)
            return ops.cast(look_up(self.embeddings, inputs), self.compute_dtype)
        flat = ops.cast(flatten_positions(inputs), self.compute_dtype)
        # (B * T, D), (V, D) -> (B * T, V)
        logits = project(flat, self.output_table)
        return at_least_float32(restore_positions(logits, like=inputs))

    def compute_output_spec(self, inputs, reverse=False):
        # Not `compute_output_shape`, to which Keras does not pass `reverse`.
        if not reverse:
            return keras.KerasTensor((*inputs.shape, self.hidden_dim), self.compute_dtype)
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        return keras.KerasTensor((*inputs.shape[:-1], self.vocabulary_size), dtype)

    def compute_output_shape(self, inputs_shape):
        # `summary` asks for it, and means the look-up.
        return (*inputs_shape, self.hidden_dim)

    def save_own_variables(self, store):
        if isinstance(self.embeddings, QuantizedMatrix):
            self.embeddings.refuse_saving(self)
        super().save_own_variables(store)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, TokenEmbedding)}
