"""Slowing rotary positions down, so that a model reads more than it was first trained on."""

import numpy as np

from lmzoo.layers.checks import check_positive, check_size

__all__ = ["check_rotary_scaling", "scale_frequencies"]

_FIELDS = {
    "linear": ("factor",),
    "llama3": ("factor", "low_frequency_factor", "high_frequency_factor", "original_length"),
}


def check_rotary_scaling(scaling):
    """Refuses a scaling that cannot be.

    Args:
        scaling: dict or None. `kind`: "linear" divides every frequency by `factor`; "llama3"
            divides those alone whose wavelength exceeds `original_length` over
            `low_frequency_factor`, leaves those below `original_length` over
            `high_frequency_factor`, and goes from one to the other in between.
    Raises:
        TypeError: if it is no dict, or a length is no int.
        ValueError: if the kind is unknown, a field is missing or superfluous, or a number is out of
            its range.
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
    if scaling.keys() != wanted:
        raise ValueError(
            f"`rotary_scaling` of kind {kind!r} must have the fields {', '.join(sorted(wanted))}. "
            f"Received: {', '.join(map(str, scaling)):.200}."
        )
    check_size(original_length=scaling.get("original_length"))
    numbers = {name: scaling[name] for name in _FIELDS[kind] if name != "original_length"}
    check_positive(**numbers)
    if kind == "llama3" and numbers["low_frequency_factor"] >= numbers["high_frequency_factor"]:
        raise ValueError(
            "`low_frequency_factor` must be less than `high_frequency_factor`. Received: "
            f"low_frequency_factor={numbers['low_frequency_factor']}, "
            f"high_frequency_factor={numbers['high_frequency_factor']}."
        )


def scale_frequencies(frequencies, scaling):
    """The angles that one position adds, slowed down.

    Args:
        frequencies: float64 array (H / 2,), in radians a position.
        scaling: dict that `check_rotary_scaling` lets through, or None.
    Returns:
        float64 array (H / 2,).
    Reference: Chen et al. 2023, https://arxiv.org/abs/2306.15595 (linear); Meta 2024, Llama 3.1
        (the frequencies of its released code).
    """
    if scaling is None:
        return frequencies
    slow = frequencies / scaling["factor"]
    if scaling["kind"] == "linear":
        return slow
    low, high = scaling["low_frequency_factor"], scaling["high_frequency_factor"]
    turns = scaling["original_length"] * frequencies / (2 * np.pi)
    # How far a frequency is from the slow ones, 0, to those that stay as they are, 1.
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return share * frequencies + (1.0 - share) * slow
