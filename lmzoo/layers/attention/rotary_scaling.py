"""Rotary frequencies, and their scaling for texts longer than those of pre-training."""

import math

import numpy as np
from keras import ops

from lmzoo.layers.checks import check_even, check_positive, check_size

__all__ = [
    "check_rotary_scaling",
    "compute_frequencies",
    "find_attention_factor",
    "stretch_frequencies",
]

_FIELDS = {
    "linear": ("factor",),
    "dynamic": ("factor", "original_length"),
    "llama3": ("factor", "low_frequency_factor", "high_frequency_factor", "original_length"),
    "yarn": ("factor", "original_length"),
}
# Field -> what a missing one stands for.
_OPTIONAL = {
    "yarn": {"beta_fast": 32.0, "beta_slow": 1.0, "attention_factor": None, "truncate": True}
}

_ORDERED = (("low_frequency_factor", "high_frequency_factor"), ("beta_slow", "beta_fast"))


def check_rotary_scaling(scaling):
    """Raises unless a rotary scaling is valid.

    Args:
        scaling: dict or None. Its `kind` says how frequencies are divided by `factor`:
            "linear" divides all of them.
            "dynamic" raises the base of the angles once a text is longer than `original_length`, so
            that the lowest frequency is divided by factor * length / original_length - factor + 1.
            "llama3" divides those whose wavelength exceeds original_length / low_frequency_factor,
            keeps those below original_length / high_frequency_factor, and interpolates in between.
            "yarn" keeps those with more than `beta_fast` (32) rotations within `original_length`,
            divides those with fewer than `beta_slow` (1), and interpolates in between, from whole
            indices on if `truncate` (True). It multiplies rotated queries and keys by
            `attention_factor` (0.1 * log(factor) + 1).
    Raises:
        TypeError: if it is no dict, or a length is no int.
        ValueError: if the kind is unknown, a field is missing or superfluous, or a number is out of
            its range.
    Reference: Chen et al. 2023, https://arxiv.org/abs/2306.15595 (linear); Peng et al. 2023,
        https://arxiv.org/abs/2309.00071 (dynamic NTK, YaRN); Meta 2024, the code released with
        Llama 3.1 (llama3).
    """
    if scaling is None:
        return
    if not isinstance(scaling, dict):
        raise TypeError(
            f"`rotary_scaling` must be a dict or None. Received: rotary_scaling={scaling!r:.80}."
        )
    kind = scaling.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ValueError(
            f"`rotary_scaling` must have a kind of {', '.join(_FIELDS)}. Received: "
            f"kind={kind!r:.80}."
        )
    wanted = {"kind", *_FIELDS[kind]}
    if not wanted <= scaling.keys() <= wanted | _OPTIONAL.get(kind, {}).keys():
        raise ValueError(
            f"`rotary_scaling` of kind {kind!r} must have the fields {', '.join(sorted(wanted))}. "
            f"Received: {', '.join(map(str, scaling)):.200}."
        )
    fields = {**_OPTIONAL.get(kind, {}), **scaling}
    check_size(original_length=fields.pop("original_length", None))
    if not isinstance(fields.pop("truncate", True), bool):
        raise TypeError(
            f"`truncate` must be a bool. Received: truncate={scaling['truncate']!r:.80}."
        )
    del fields["kind"]
    check_positive(**fields)
    for low, high in _ORDERED:
        if low in fields and fields[low] >= fields[high]:
            raise ValueError(
                f"`{low}` must be less than `{high}`. Received: "
                f"{low}={fields[low]}, {high}={fields[high]}."
            )


def compute_frequencies(head_dim, max_wavelength, scaling=None):
    """The angles that one position adds to each pair of features.

    Args:
        head_dim: int. H, even.
        max_wavelength: float. The base of the angles (theta).
        scaling: dict that `check_rotary_scaling` accepts, or None. "dynamic" changes nothing here:
            see `stretch_frequencies`.
    Returns:
        float64 array (H / 2,), in radians a position.
    Raises:
        ValueError: if H is odd, or the base is not above 1 with "yarn".
    """
    check_even(head_dim=head_dim)
    frequencies = max_wavelength ** -(np.arange(0, head_dim, 2, dtype="float64") / head_dim)
    if scaling is None or scaling["kind"] == "dynamic":
        return frequencies
    slow = frequencies / scaling["factor"]
    if scaling["kind"] == "linear":
        return slow
    # How much of each frequency is kept, from 0 (it is divided by the factor) to 1.
    if scaling["kind"] == "llama3":
        low, high = scaling["low_frequency_factor"], scaling["high_frequency_factor"]
        rotations = scaling["original_length"] * frequencies / (2 * np.pi)
        kept = (rotations - low) / (high - low)
    else:
        first, last = _find_yarn_range(head_dim, max_wavelength, {**_OPTIONAL["yarn"], **scaling})
        kept = 1.0 - (np.arange(head_dim // 2) - first) / (last - first)
    kept = np.clip(kept, 0.0, 1.0)
    return kept * frequencies + (1.0 - kept) * slow


def _find_yarn_range(head_dim, max_wavelength, scaling):
    """The indices of frequencies between which YaRN interpolates."""
    if max_wavelength <= 1:
        raise ValueError(
            "`max_wavelength` must be above 1 for yarn. Received: "
            f"max_wavelength={max_wavelength!r}."
        )

    def find_index(num_rotations):
        ratio = scaling["original_length"] / (num_rotations * 2 * math.pi)
        return head_dim * math.log(ratio) / (2 * math.log(max_wavelength))

    first, last = find_index(scaling["beta_fast"]), find_index(scaling["beta_slow"])
    if scaling["truncate"]:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, head_dim - 1)
    return first, last if last != first else last + 0.001


def find_attention_factor(scaling):
    """What rotated queries and keys are multiplied by: float, 1 for every kind but "yarn"."""
    if scaling is None or scaling["kind"] != "yarn":
        return 1.0
    given = scaling.get("attention_factor")
    return given or 0.1 * math.log(max(scaling["factor"], 1.0)) + 1.0


def stretch_frequencies(frequencies, positions, scaling):
    """Lowers frequencies by the length of each text, as dynamic NTK scaling does.

    Transformers takes the longest text of a batch for all of them. Here each has its own length, so
    that no text depends on its neighbours.

    Args:
        frequencies: float (H / 2,), as `compute_frequencies` returns them.
        positions: int (B or 1, T). The largest of a row is its length less 1.
        scaling: dict of kind "dynamic".
    Returns:
        float (B or 1, 1, H / 2) in the dtype of `frequencies`.
    Raises:
        ValueError: if H is less than 4.
    """
    head_dim = 2 * frequencies.shape[0]
    if head_dim < 4:
        raise ValueError(
            f"`head_dim` must be at least 4 for dynamic scaling. Received: head_dim={head_dim}."
        )
    factor, original_length = scaling["factor"], scaling["original_length"]
    # (B, T) -> (B, 1)
    length = ops.cast(ops.max(positions, axis=-1, keepdims=True) + 1, frequencies.dtype)
    length = ops.maximum(length, original_length)
    stretch = ops.log(factor * length / original_length - (factor - 1.0))
    # The base grows by stretch ** (H / (H - 2)); frequency i is base ** (-2 i / H).
    exponents = np.arange(0, head_dim, 2, dtype="float64") / (head_dim - 2)
    exponents = ops.convert_to_tensor(exponents, frequencies.dtype)
    return frequencies * ops.exp(-exponents * ops.expand_dims(stretch, -1))
