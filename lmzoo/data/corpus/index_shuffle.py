"""Index shuffle: a pseudo-random permutation that is computed per index and never stored."""

import numpy as np

__all__ = ["shuffle_indices", "uniform_noise"]

_ROUNDS = 8
_WORD = (1 << 64) - 1


def shuffle_indices(indices, size, seed, epoch):
    """Maps each index through a pseudo-random permutation of `range(size)`.

    The permutation depends on `size`, `seed` and `epoch` alone, never on a library's random
    generator, so it is the same on every machine and in every later release. Memory does not
    grow with `size`: a Feistel network permutes the next power of four, and an index that
    lands at or beyond `size` is permuted again until it is inside (cycle walking).

    Args:
        indices: int array of any shape, each in `[0, size)`.
        size: int. The size of the permutation.
        seed: int.
        epoch: int. Each epoch has its own permutation.
    Returns:
        int64 array of the shape of `indices`.
    Raises:
        ValueError: if an index is outside `[0, size)`.
    Example:
    >>> [int(i) for i in shuffle_indices(range(6), 6, seed=0, epoch=0)]
    [5, 2, 1, 3, 0, 4]

    Reference: Black and Rogaway 2002, "Ciphers with arbitrary finite domains".
    """
    indices = np.asarray(indices, dtype=np.int64)
    if indices.size and not 0 <= indices.min() <= indices.max() < size:
        raise ValueError(
            "`indices` must be at least 0 and below `size`. Received: "
            f"indices from {indices.min()} to {indices.max()}, size={size}."
        )
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(seed, epoch)
    numbers = indices.reshape(-1).astype(np.uint64)
    outside = np.ones(numbers.shape, dtype=bool)
    while outside.any():
        numbers[outside] = _permute(numbers[outside], half_bits, keys)
        outside = numbers >= np.uint64(size)
    return numbers.astype(np.int64).reshape(indices.shape)


def _permute(numbers, half_bits, keys):
    """One pass of the network over uint64 numbers of `2 * half_bits` bits."""
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = numbers >> shift, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) & mask)
    return (left << shift) | right


def _mix(numbers):
    """The finalizer of SplitMix64, on uint64 arrays (which wrap around)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _round_keys(seed, epoch):
    words = np.array([int(seed) & _WORD, int(epoch) & _WORD], dtype=np.uint64)
    # Two mixes, so that (seed, epoch) and (seed + 1, epoch - 1) share nothing.
    start = _mix(_mix(words[:1] + np.uint64(0x9E3779B97F4A7C15)) ^ _mix(words[1:]))
    steps = np.arange(1, _ROUNDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mix(start + steps)


def uniform_noise(indices, seed):
    """Returns a pseudo-random number for each index, uniform in [0, 1).

    Args:
        indices: int array (n,).
        seed: int.
    Returns:
        float64 array (n,). As reproducible as `shuffle_indices`.
    """
    key = _round_keys(seed, _WORD)[0]
    numbers = _mix(_mix(np.asarray(indices).astype(np.uint64) + np.uint64(1)) ^ key)
    return (numbers >> np.uint64(11)) * 2.0**-53
