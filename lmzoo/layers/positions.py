"""Position information: learned embeddings, sinusoidal encodings, rotary embeddings."""

import keras
from keras import ops

from lmzoo.layers.checks import check_even, check_length, check_positive, check_size
from lmzoo.layers.precision import at_least_float32
from lmzoo.layers.rotary_scaling import (
    compute_frequencies,
    find_attention_factor,
    stretch_frequencies,
)

__all__ = ["PositionEmbedding", "SinePositionEncoding", "rotate_by_position"]


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
            rows = ops.take(self.embeddings, positions, axis=0)
            return ops.cast(rows, self.compute_dtype)
        check_length(hidden.shape[1], self.max_sequence_length)
        rows = ops.take(self.embeddings, ops.arange(ops.shape(hidden)[1], dtype="int32"), axis=0)
        return ops.broadcast_to(ops.cast(rows, self.compute_dtype), ops.shape(hidden))

    def compute_output_shape(self, hidden_shape, positions_shape=None):
        if positions_shape is None:
            return hidden_shape
        return (*positions_shape, hidden_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "max_sequence_length": self.max_sequence_length,
            "initializer": keras.initializers.serialize(self.initializer),
        }


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
        angles = _compute_angles(rows, hidden_dim, self.max_wavelength, dtype)
        # (..., T, D/2, 2) -> (..., T, D): sine and cosine alternate
        table = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        table = ops.reshape(table, (*ops.shape(angles)[:-1], hidden_dim))
        table = ops.cast(table, self.compute_dtype)
        return table if positions is not None else ops.broadcast_to(table, ops.shape(hidden))

    def compute_output_shape(self, hidden_shape, positions_shape=None):
        if positions_shape is None:
            return hidden_shape
        return (*positions_shape, hidden_shape[-1])

    def get_config(self):
        return {**super().get_config(), "max_wavelength": self.max_wavelength}


def rotate_by_position(heads, positions, max_wavelength=10000.0, scaling=None):
    """Rotary position embedding: rotates each pair of features by an angle for each position.

    Feature i is paired with feature i + H/2, as GPT-NeoX and Llama checkpoints have it; the paper
    pairs neighbours, which is the same up to a permutation of the weights.

    Args:
        heads: float (B, N, T, H), queries or keys, H even.
        positions: int (B or 1, T).
        max_wavelength: float. The base of the angles (theta).
        scaling: dict or None, as `check_rotary_scaling` explains it.
    Returns:
        float (B, N, T, H) in the dtype of `heads`.
    Raises:
        ValueError: if H is odd.
    Reference: Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.4.
    """
    # Angles in float32 at least: bfloat16 cannot tell position 257 from 256.
    precise = at_least_float32(heads)
    angles = _compute_angles(positions, heads.shape[-1], max_wavelength, precise.dtype, scaling)
    # (B, T, H/2) -> (B, 1, T, H)
    angles = ops.expand_dims(ops.concatenate([angles, angles], axis=-1), 1)
    low, high = ops.split(precise, 2, axis=-1)
    rotated = ops.concatenate([-high, low], axis=-1)
    rotated = precise * ops.cos(angles) + rotated * ops.sin(angles)
    factor = find_attention_factor(scaling)
    return ops.cast(rotated if factor == 1.0 else factor * rotated, heads.dtype)


def _compute_angles(positions, features, max_wavelength, dtype, scaling=None):
    # (..., T) -> (..., T, features / 2)
    frequencies = compute_frequencies(features, max_wavelength, scaling)
    frequencies = ops.convert_to_tensor(frequencies, dtype)
    if scaling is not None and scaling["kind"] == "dynamic":
        frequencies = stretch_frequencies(frequencies, positions, scaling)
    return ops.expand_dims(ops.cast(positions, dtype), -1) * frequencies
