"""Embeddings of tokens, whose table also gives logits, and of positions: learned or sinusoidal."""

import keras
from keras import ops

from lmzoo.layers.attention.positions import compute_angles
from lmzoo.layers.checks import check_even, check_length, check_positive, check_size, list_arguments
from lmzoo.layers.contexts import replaced_embeddings
from lmzoo.layers.quantized import QuantizedMatrix
from lmzoo.layers.tensors import at_least_float32, flatten_positions, look_up, restore_positions

__all__ = ["PositionEmbedding", "SinePositionEncoding", "TokenEmbedding", "project"]


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


@keras.saving.register_keras_serializable(package="lmzoo")
class PositionEmbedding(keras.layers.Layer):
    """Learned position embeddings, to be added to token embeddings.

    Like KerasHub's layer of this name, it returns the embeddings alone. In a functional model, add
    them with `keras.layers.Add()`, which keeps the Keras mask of the tokens.

    Args:
        max_sequence_length: int. How many positions there are.
        initializer: Keras initializer of the table.
    Call arguments:
        hidden: float (B, T, D). Only its shape counts.
        positions: int (B, T) or (T,), each below `max_sequence_length`; None counts from 0.
            TensorFlow refuses larger ones on a CPU, but not inside XLA.
    Returns:
        float (B, T, D) in the compute dtype; with `positions` of the shape (*positions.shape, D).
    Raises:
        ValueError: if `max_sequence_length` is not positive, or T is known and exceeds it.
    Reference: Gehring et al. 2017, https://arxiv.org/abs/1705.03122; Radford et al. 2019 (GPT-2).
    Example:
        >>> hidden = keras.ops.ones((2, 5, 8))
        >>> hidden = hidden + PositionEmbedding(max_sequence_length=16)(hidden)
        >>> tuple(hidden.shape)
        (2, 5, 8)
    """

    def __init__(self, max_sequence_length, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        check_size(max_sequence_length=max_sequence_length)
        self.supports_masking = True
        self.max_sequence_length = max_sequence_length
        self.initializer = keras.initializers.get(initializer)

    def build(self, hidden_shape):
        # The few rows that are used are cast after the look-up, not the table before it.
        self.embeddings = self.add_weight(
            shape=(self.max_sequence_length, hidden_shape[-1]),
            initializer=self.initializer,
            name="embeddings",
            autocast=False,
        )

    def call(self, hidden, positions=None):
        if positions is not None:
            rows = look_up(self.embeddings, positions)
            return ops.cast(rows, self.compute_dtype)
        check_length(hidden.shape[1], self.max_sequence_length)
        rows = look_up(self.embeddings, ops.arange(ops.shape(hidden)[1], dtype="int32"))
        return ops.broadcast_to(ops.cast(rows, self.compute_dtype), ops.shape(hidden))

    def compute_output_shape(self, hidden_shape, positions_shape=None):
        return _find_output_shape(hidden_shape, positions_shape)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, PositionEmbedding)}


@keras.saving.register_keras_serializable(package="lmzoo")
class SinePositionEncoding(keras.layers.Layer):
    """Sines and cosines of geometrically spaced wavelengths, to be added to token embeddings.

    Like KerasHub's layer of this name, it returns the encoding alone and has no weights.

    Args:
        max_wavelength: float. The longest wavelength, in positions over 2 pi.
    Call arguments:
        hidden: float (B, T, D), D even. Only its shape counts.
        positions: int (B, T) or (T,); None counts from 0.
    Returns:
        float (B, T, D) in the compute dtype; with `positions` of the shape (*positions.shape, D).
    Raises:
        ValueError: if D is odd or `max_wavelength` is not positive.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5: sines at the even
        indices of D, cosines at the odd ones.
    Example:
        >>> encoding = SinePositionEncoding()(keras.ops.zeros((1, 2, 4)))
        >>> encoding[0, 0].numpy().tolist()
        [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, max_wavelength=10000.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(max_wavelength=max_wavelength)
        self.supports_masking = True
        self.max_wavelength = max_wavelength

    def build(self, hidden_shape):
        check_even(hidden_dim=hidden_shape[-1])

    def call(self, hidden, positions=None):
        rows = positions
        if positions is None:
            rows = ops.arange(ops.shape(hidden)[1], dtype="int32")
        hidden_dim = hidden.shape[-1]
        dtype = at_least_float32(hidden).dtype
        angles = compute_angles(rows, hidden_dim, self.max_wavelength, dtype)
        # (..., T, D/2, 2) -> (..., T, D): sine and cosine alternate
        table = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        table = ops.reshape(table, (*ops.shape(angles)[:-1], hidden_dim))
        table = ops.cast(table, self.compute_dtype)
        return table if positions is not None else ops.broadcast_to(table, ops.shape(hidden))

    def compute_output_shape(self, hidden_shape, positions_shape=None):
        return _find_output_shape(hidden_shape, positions_shape)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, SinePositionEncoding)}


def _find_output_shape(hidden_shape, positions_shape):
    if positions_shape is None:
        return hidden_shape
    return (*positions_shape, hidden_shape[-1])
