"""How many tokens and spans are hidden, and where: the arithmetic and the segmentation of T5.

Shapes: B batch, L tokens of a window.
"""

import bisect
import dataclasses
import numbers

import numpy as np

__all__ = ["NoiseSpans", "compute_span_lengths", "make_noise_mask"]


@dataclasses.dataclass(frozen=True)
class NoiseSpans:
    """How many tokens of a window are hidden, and in how many spans.

    Args:
        num_kept: int. The tokens that the input keeps.
        num_noise: int. The tokens that the target holds.
        num_spans: int. The runs of hidden tokens, each behind a run of kept ones.
    """

    num_kept: int
    num_noise: int
    num_spans: int

    @classmethod
    def of(cls, length, noise_density, mean_span_length):
        """Counts them for a window of `length` tokens: at least one is hidden and one kept."""
        num_noise = min(max(round(length * noise_density), 1), length - 1)
        num_spans = max(round(num_noise / mean_span_length), 1)
        return cls(length - num_noise, num_noise, num_spans)

    @property
    def inputs_length(self):
        """int. The kept tokens, a sentinel a span and the end token."""
        return self.num_kept + self.num_spans + 1

    @property
    def targets_length(self):
        """int. The hidden tokens, a sentinel a span and the end token."""
        return self.num_noise + self.num_spans + 1


def compute_span_lengths(sequence_length, noise_density=0.15, mean_span_length=3.0):
    """Finds how long a window must be to fill an input once its spans are hidden.

    The input holds the kept tokens, one sentinel a span and the end token; the target the hidden
    tokens, one sentinel a span and the end token.

    Args:
        sequence_length: int. The length of the input, at least 3.
        noise_density: float in (0, 1). The share of the window that is hidden.
        mean_span_length: float. The mean length of a span, at least 1.
    Returns:
        (int, int): the tokens of a window, and the length of the target.
    Raises:
        ValueError: if a number is out of its range, or if so much is hidden that there is no
            token to keep before each span.
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
    # One token more makes the input longer by one or not at all, so some window fills it exactly.
    # It is at least as long as the input without its end token, and its kept tokens alone fit.
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
            f"{spans.num_spans} spans. Hide less or in longer spans."
        )
    return length, spans.targets_length


def make_noise_mask(length, noise_density, mean_span_length, noise):
    """Chooses which tokens are hidden.

    Kept and hidden runs alternate, a kept one first. The hidden tokens are cut into spans at
    borders drawn without replacement, so every way to cut them is equally likely; the kept tokens
    likewise.

    Args:
        length: int. L, at least 2.
        noise_density: float in (0, 1).
        mean_span_length: float.
        noise: float (B, L - 2). What decides, evenly drawn from [0, 1).
    Returns:
        bool (B, L), True where a token is hidden. Every row has equally many, in equally many
        spans.
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
    # n tokens have n - 1 places for a border.
    for_noise, for_kept = np.split(noise, [spans.num_noise - 1], axis=1)
    noise_lengths = _cut(for_noise, spans.num_spans)
    kept_lengths = _cut(for_kept, spans.num_spans)
    # (B, spans), (B, spans) -> (B, 2 * spans), one of each in turn
    lengths = np.stack([kept_lengths, noise_lengths], axis=-1).reshape(len(noise), -1)
    is_noise = np.tile([False, True], lengths.size // 2)
    return np.repeat(is_noise, lengths.reshape(-1)).reshape(len(noise), length)


def _cut(noise, num_parts):
    """Cuts n tokens into parts, none empty: float (B, n - 1) -> the lengths, int (B, num_parts)."""
    # The borders stand where the noise is lowest.
    borders = np.sort(np.argsort(noise, axis=1, kind="stable")[:, : num_parts - 1], axis=1) + 1
    batch_size, num_places = noise.shape
    first = np.zeros((batch_size, 1), dtype=np.int64)
    return np.diff(np.concatenate([first, borders, first + num_places + 1], axis=1), axis=1)
