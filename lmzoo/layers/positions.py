"""Telling a model where a token stands: learned, sinusoidal and rotary positions."""

import keras
import numpy as np
from keras import ops

from lmzoo.layers.checks import check_even, check_length, check_positive, check_size
from lmzoo.layers.precision import at_least_float32
from lmzoo.layers.rotary_scaling import scale_frequencies

__all__ = ["LearnedPositions", "SinusoidalPositions", "rotate_by_position"]


@keras.saving.register_keras_serializable(package="lmzoo")
class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector for each position.

    Args:
        max_sequence_length: int. How many positions there are.
        initializer: Keras initializer of the table.
    Call arguments:
        hidden: float (B, T, D).
        positions: int (B, T) or (T,), each below `max_sequence_length` (TensorFlow refuses others
            when it runs on a CPU, and not inside XLA); None counts from 0.
    Returns:
        float (B, T, D) in the compute dtype.
    Raises:
        ValueError: if `max_sequence_length` is not positive, or T is known and exceeds it.
    Reference: Gehring et al. 2017, https://arxiv.org/abs/1705.03122; Radford et al. 2019 (GPT-2).
    Example:
        >>> layer = LearnedPositions(max_sequence_length=16)
        >>> tuple(layer(keras.ops.ones((2, 5, 8))).shape)
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
        if positions is None:
            check_length(hidden.shape[1], self.max_sequence_length)
            positions = ops.arange(ops.shape(hidden)[1], dtype="int32")
        table = ops.take(self.embeddings, positions, axis=0)
        return hidden + ops.cast(table, hidden.dtype)

    def compute_output_shape(self, hidden_shape):
        return hidden_shape

    def get_config(self):
        return {
            **super().get_config(),
            "max_sequence_length": self.max_sequence_length,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="lmzoo")
class SinusoidalPositions(keras.layers.Layer):
    """Adds sines and cosines of geometrically spaced wavelengths; nothing is learned.

    Args:
        max_wavelength: float. The longest wavelength, in positions over 2 pi.
    Call arguments:
        hidden: float (B, T, D), D even.
        positions: int (B, T) or (T,); None counts from 0.
    Returns:
        float (B, T, D) in the compute dtype.
    Raises:
        ValueError: if D is odd or `max_wavelength` is not positive.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5: sine at the even
        places of D, cosine at the odd ones.
    Example:
        >>> moved = SinusoidalPositions()(keras.ops.zeros((1, 2, 4)))
        >>> np.asarray(moved[0, 0]).tolist()
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
        if positions is None:
            positions = ops.arange(ops.shape(hidden)[1], dtype="int32")
        hidden_dim = hidden.shape[-1]
        dtype = at_least_float32(hidden).dtype
        angles = _compute_angles(positions, hidden_dim, self.max_wavelength, dtype)
        # (..., T, D/2, 2) -> (..., T, D): sine and cosine alternate
        table = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        table = ops.reshape(table, (*ops.shape(angles)[:-1], hidden_dim))
        return hidden + ops.cast(table, hidden.dtype)

    def compute_output_shape(self, hidden_shape):
        return hidden_shape

    def get_config(self):
        return {**super().get_config(), "max_wavelength": self.max_wavelength}


def rotate_by_position(heads, positions, max_wavelength=10000.0, scaling=None):
    """Turns each pair of features by an angle that grows with the position (rotary positions).

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
    head_dim = heads.shape[-1]
    check_even(head_dim=head_dim)
    # Angles in float32 at least: bfloat16 cannot tell position 257 from 256.
    precise = at_least_float32(heads)
    angles = _compute_angles(positions, head_dim, max_wavelength, precise.dtype, scaling)
    # (B, T, H/2) -> (B, 1, T, H)
    angles = ops.expand_dims(ops.concatenate([angles, angles], axis=-1), 1)
    low, high = ops.split(precise, 2, axis=-1)
    turned = ops.concatenate([-high, low], axis=-1)
    return ops.cast(precise * ops.cos(angles) + turned * ops.sin(angles), heads.dtype)


def _compute_angles(positions, features, max_wavelength, dtype, scaling=None):
    # (..., T) -> (..., T, features / 2)
    exponents = np.arange(0, features, 2, dtype="float64") / features
    frequencies = scale_frequencies(max_wavelength**-exponents, scaling)
    frequencies = ops.convert_to_tensor(frequencies, dtype)
    return ops.expand_dims(ops.cast(positions, dtype), -1) * frequencies
