"""T5's relative position bias: a learned number for each distance and head."""

import math

import keras
import numpy as np
from keras import ops

from lmzoo.layers.checks import check_even, check_size

__all__ = ["RelativePositionBias", "make_distance_buckets"]


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
        bias = ops.take(self.embeddings, buckets, axis=0)
        return ops.expand_dims(ops.transpose(bias, (2, 0, 1)), 0)

    def compute_output_shape(self, shapes=()):
        return (1, self.num_heads, None, None)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "bidirectional": self.bidirectional,
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
            "initializer": keras.initializers.serialize(self.initializer),
        }


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
