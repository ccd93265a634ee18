"""Positions in attention: rotary embeddings, and T5's relative position bias."""

import math

import keras
import numpy as np
from keras import ops

from lmzoo.layers.attention.rotary_scaling import (
    compute_frequencies,
    find_attention_factor,
    stretch_frequencies,
)
from lmzoo.layers.checks import check_even, check_size, list_arguments
from lmzoo.layers.tensors import at_least_float32, look_up

__all__ = [
    "RelativePositionBias",
    "compute_angles",
    "make_distance_buckets",
    "rotate_by_position",
]


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
    angles = compute_angles(positions, heads.shape[-1], max_wavelength, precise.dtype, scaling)
    # (B, T, H/2) -> (B, 1, T, H)
    angles = ops.expand_dims(ops.concatenate([angles, angles], axis=-1), 1)
    low, high = ops.split(precise, 2, axis=-1)
    rotated = ops.concatenate([-high, low], axis=-1)
    rotated = precise * ops.cos(angles) + rotated * ops.sin(angles)
    factor = find_attention_factor(scaling)
    return ops.cast(rotated if factor == 1.0 else factor * rotated, heads.dtype)


def compute_angles(positions, features, max_wavelength, dtype, scaling=None):
    """The angle of each pair of features at each position.

    Args:
        positions: int (..., T).
        features: int. Their number, even.
        max_wavelength: float. The base of the angles (theta).
        dtype: str. At least float32.
        scaling: dict or None, as `check_rotary_scaling` explains it.
    Returns:
        float (..., T, features / 2).
    """
    frequencies = compute_frequencies(features, max_wavelength, scaling)
    frequencies = ops.convert_to_tensor(frequencies, dtype)
    if scaling is not None and scaling["kind"] == "dynamic":
        frequencies = stretch_frequencies(frequencies, positions, scaling)
    return ops.expand_dims(ops.cast(positions, dtype), -1) * frequencies


@keras.saving.register_keras_serializable(package="lmzoo")
class RelativePositionBias(keras.layers.Layer):
    """Relative position bias: a learned number for each distance and head, added to the scores.

    Distances share numbers in buckets: each short distance has its own bucket, longer distances
    share wider ones, and all from `max_distance` on share the last.

    Args:
        num_heads: int. N.
        bidirectional: bool. Whether later keys have buckets of their own, as in an encoder. If
            False they count as distance 0; a decoder masks them anyway.
        num_buckets: int. How many buckets there are, even with `bidirectional`.
        max_distance: int. From here on all distances share the last bucket.
        initializer: Keras initializer of the table.
    Call arguments:
        query_length: int or scalar tensor. T.
        key_length: int or scalar tensor. S.
        position: int or scalar tensor. The key slot of the first query.
    Returns:
        float (1, N, T, S) in the dtype of the weights.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if a size is not positive, `num_buckets` is odd with `bidirectional`, or
            `max_distance` is not beyond the buckets of single distances.
    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 2.1; the buckets are
        those of the code published with it.
    Example:
        >>> layer = RelativePositionBias(num_heads=2)
        >>> tuple(layer(query_length=1, key_length=5, position=4).shape)
        (1, 2, 1, 5)
    """

    def __init__(
        self,
        num_heads,
        bidirectional=True,
        num_buckets=32,
        max_distance=128,
        initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_size(num_heads=num_heads, num_buckets=num_buckets, max_distance=max_distance)
        if bidirectional:
            check_even(num_buckets=num_buckets)
        self.num_heads = num_heads
        self.bidirectional = bidirectional
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.initializer = keras.initializers.get(initializer)
        one_side = num_buckets // 2 if bidirectional else num_buckets
        self._buckets = make_distance_buckets(one_side, max_distance)

    def build(self, *shapes):
        self.embeddings = self.add_weight(
            shape=(self.num_buckets, self.num_heads),
            initializer=self.initializer,
            name="embeddings",
            autocast=False,
        )
        self.built = True

    def call(self, query_length, key_length, position=0):
        query_slots = ops.arange(query_length, dtype="int32") + ops.cast(position, "int32")
        key_slots = ops.arange(key_length, dtype="int32")
        # (T, S): how many positions the key comes after the query
        distances = ops.expand_dims(key_slots, 0) - ops.expand_dims(query_slots, 1)
        lengths = ops.abs(distances) if self.bidirectional else ops.maximum(-distances, 0)
        buckets = ops.take(self._buckets, ops.minimum(lengths, self.max_distance), axis=0)
        if self.bidirectional:
            is_later = ops.cast(distances > 0, "int32")
            buckets = buckets + is_later * (self.num_buckets // 2)
        # (T, S) -> (T, S, N) -> (1, N, T, S)
        bias = look_up(self.embeddings, buckets)
        return ops.expand_dims(ops.transpose(bias, (2, 0, 1)), 0)

    def compute_output_shape(self, shapes=()):
        return (1, self.num_heads, None, None)

    def get_config(self):
        return {**super().get_config(), **list_arguments(self, RelativePositionBias)}


def make_distance_buckets(num_buckets, max_distance):
    """Computes the bucket of each distance from 0 to `max_distance`, the last one for all beyond.

    The first half of the buckets holds one distance each; the second half grows logarithmically.

    Args:
        num_buckets: int. Of one side.
        max_distance: int.
    Returns:
        int32 array (max_distance + 1,).
    Raises:
        ValueError: if `max_distance` is not beyond the first half.
    """
    num_single = num_buckets // 2
    if not 0 < num_single < max_distance:
        raise ValueError(
            "`max_distance` must be beyond the buckets of single distances, of which there must be "
            f"one. Received: max_distance={max_distance}, {num_single} such buckets."
        )
    distances = np.arange(max_distance + 1, dtype="float32")
    # In float32 as the original computes it: at some distances the last bit decides.
    logarithm = np.log(np.maximum(distances, 1) / np.float32(num_single))
    share = logarithm / np.float32(math.log(max_distance / num_single))
    logarithmic = num_single + (share * np.float32(num_buckets - num_single)).astype("int32")
    buckets = np.where(distances < num_single, distances, np.minimum(logarithmic, num_buckets - 1))
    return buckets.astype("int32")
