"""Span corruption: how many tokens and spans are corrupted, and which ones.

Shapes: B batch, L tokens of a window.
"""

import bisect
import dataclasses
import numbers

import numpy as np

__all__ = ["NoiseSpans", "compute_span_lengths", "make_noise_mask"]


@dataclasses.dataclass(frozen=True)
class NoiseSpans:
    """How many tokens of a window are corrupted, and in how many spans.

    Args:
        num_kept: int. The tokens that stay in the input.
        num_noise: int. The corrupted tokens, which go into the target.
        num_spans: int. The runs of corrupted tokens; a run of kept tokens precedes each.
    """

    num_kept: int
    num_noise: int
    num_spans: int

    @classmethod
    def of(cls, length, noise_density, mean_span_length):
        """Counts for a window of `length` tokens; at least one is corrupted and one is kept."""
        num_noise = min(max(round(length * noise_density), 1), length - 1)
        num_spans = max(round(num_noise / mean_span_length), 1)
        return cls(length - num_noise, num_noise, num_spans)

    @property
    def inputs_length(self):
        """int. The kept tokens, one sentinel for each span and the end token."""
        return self.num_kept + self.num_spans + 1

    @property
    def targets_length(self):
        """int. The corrupted tokens, one sentinel for each span and the end token."""
        return self.num_noise + self.num_spans + 1


def compute_span_lengths(sequence_length, noise_density=0.15, mean_span_length=3.0):
    """Finds the window that fills an input exactly once its spans are replaced by sentinels.

    The input has the kept tokens, one sentinel for each span and the end token. The target has the
    corrupted tokens, one sentinel for each span and the end token.

    Args:
        sequence_length: int. The length of the input, at least 3.
        noise_density: float in (0, 1). The share of the window that is corrupted.
        mean_span_length: float. The mean length of a span, at least 1.
    Returns:
        (int, int): the tokens of a window, and the length of the target.
    Raises:
        ValueError: if a number is out of its range, or if there are fewer kept tokens than spans.
    Example:
    >>> compute_span_lengths(512, noise_density=0.15, mean_span_length=3.0)
    (568, 114)

    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 3.1.4, and the code
        published with it. That code takes one token less where the density is exactly 0.5 and
        the target would be longer than the input; this does not.
    """
    if not isinstance(sequence_length, numbers.Integral) or sequence_length < 3:
        raise ValueError(
            "`sequence_length` must be an integer of at least 3: a token, a sentinel and the end "
            f"token. Received: sequence_length={sequence_length!r}."
        )
    if not isinstance(noise_density, numbers.Real) or not 0 < noise_density < 1:
        raise ValueError(
            "`noise_density` must be a number between 0 and 1. Received: "
            f"noise_density={noise_density!r}."
        )
    if not isinstance(mean_span_length, numbers.Real) or not 1 <= mean_span_length < float("inf"):
        raise ValueError(
            "`mean_span_length` must be a number of at least 1 token. Received: "
            f"mean_span_length={mean_span_length!r}."
        )
    # One more token makes the input longer by one or not at all, so some window fills it exactly.
    # That window is at least as long as the input without its end token, and its kept tokens fit.
    longest = int(sequence_length / (1 - noise_density)) + 2
    length = (
        bisect.bisect_right(
            range(longest),
            sequence_length,
            lo=sequence_length - 1,
            key=lambda n: NoiseSpans.of(n, noise_density, mean_span_length).inputs_length,
        )
        - 1
    )
    spans = NoiseSpans.of(length, noise_density, mean_span_length)
    if spans.num_spans > spans.num_kept:
        raise ValueError(
            "`noise_density` must leave a token to keep before each span. Received: noise_density="
            f"{noise_density}, mean_span_length={mean_span_length}: {spans.num_kept} kept tokens, "
            f"{spans.num_spans} spans. Lower `noise_density` or take longer spans."
        )
    return length, spans.targets_length


def make_noise_mask(length, noise_density, mean_span_length, noise):
    """Chooses the tokens that are corrupted.

    Kept and corrupted runs alternate, beginning with a kept one. The corrupted tokens are split
    into spans at boundaries drawn without replacement, so all splits are equally likely; the same
    holds for the kept tokens.

    Args:
        length: int. L, at least 2.
        noise_density: float in (0, 1).
        mean_span_length: float.
        noise: float (B, L - 2). Random numbers, uniform in [0, 1).
    Returns:
        bool (B, L), True for a corrupted token. All rows have the same number of them, in the same
        number of spans.
    Raises:
        ValueError: if `noise` has another shape.
    Reference: the random segmentation of the code published with Raffel et al. 2020,
        https://arxiv.org/abs/1910.10683.
    """
    noise = np.asarray(noise)
    if noise.ndim != 2 or noise.shape[1] != length - 2:
        raise ValueError(
            f"`noise` must have the shape (B, {length - 2}) for {length} tokens. Received: "
            f"noise.shape={noise.shape}."
        )
    spans = NoiseSpans.of(length, noise_density, mean_span_length)
    # n tokens have n - 1 possible boundaries.
    for_noise, for_kept = np.split(noise, [spans.num_noise - 1], axis=1)
    noise_lengths = _split_lengths(for_noise, spans.num_spans)
    kept_lengths = _split_lengths(for_kept, spans.num_spans)
    # (B, spans), (B, spans) -> (B, 2 * spans), one of each in turn
    lengths = np.stack([kept_lengths, noise_lengths], axis=-1).reshape(len(noise), -1)
    is_noise = np.tile([False, True], lengths.size // 2)
    return np.repeat(is_noise, lengths.reshape(-1)).reshape(len(noise), length)


def _split_lengths(noise, num_parts):
    """Splits n tokens into parts, none empty: float (B, n - 1) -> lengths int (B, num_parts)."""
    # The boundaries are where the noise is lowest.
    boundaries = np.sort(np.argsort(noise, axis=1, kind="stable")[:, : num_parts - 1], axis=1) + 1
    batch_size, num_boundaries = noise.shape
    first = np.zeros((batch_size, 1), dtype=np.int64)
    return np.diff(np.concatenate([first, boundaries, first + num_boundaries + 1], axis=1), axis=1)
