"""Mixing rates: how often each task of a mixture is used."""

import fractions
import math
import numbers

__all__ = ["compute_rates", "normalise", "share_out"]


def compute_rates(sizes, cap=None, temperature=1.0):
    """Computes how often to use each task of a mixture.

    A task's rate is proportional to min(number of rows, `cap`) to the power of 1 / `temperature`.

    Args:
        sizes: dict of name to int. How many rows each task has.
        cap: int or None. The most rows that count, so that a large task does not crowd out the
            others; None for all.
        temperature: float, at least 1. 1 is proportional; higher values are more equal.
    Returns:
        dict of name to float, which sum to 1.
    Raises:
        ValueError: if there is no task, or if a number is out of its range.
    Example:
    >>> compute_rates({"small": 100, "large": 900}, cap=300)
    {'small': 0.25, 'large': 0.75}

    Reference: Raffel et al. 2020, https://arxiv.org/abs/1910.10683, section 3.5.2, where it is
        examples-proportional and temperature-scaled mixing.
    """
    if cap is not None and not (isinstance(cap, numbers.Real) and cap >= 1):
        raise ValueError(f"`cap` must be None or a number of at least 1. Received: cap={cap!r}.")
    if not isinstance(temperature, numbers.Real) or not 1 <= temperature < math.inf:
        raise ValueError(
            "`temperature` must be a finite number of at least 1. Received: "
            f"temperature={temperature!r}."
        )
    capped = {name: size if cap is None else min(size, cap) for name, size in sizes.items()}
    # Relative to the largest, so that no power overflows.
    largest = max(capped.values(), default=1) or 1
    weights = {name: (size / largest) ** (1 / temperature) for name, size in capped.items()}
    return normalise(weights, sizes)


def normalise(weights, names):
    """Scales weights so that they sum to 1: dict of name to float, in the order of `names`."""
    if not isinstance(weights, dict) or set(weights) != set(names):
        raise ValueError(
            f"`rates` must be a dict with a rate for each of the tasks {sorted(names)}. Received: "
            f"rates={weights}."
        )
    is_right = all(
        isinstance(weight, numbers.Real) and 0 <= weight < math.inf for weight in weights.values()
    )
    if not is_right or not 0 < sum(weights.values()) < math.inf:
        raise ValueError(
            "`rates` must be numbers of at least 0 that do not sum to 0. Received: "
            f"rates={weights}."
        )
    total = float(sum(weights.values()))
    return {name: float(weights[name]) / total for name in names}


def share_out(total, rates):
    """Integers that sum to the total, each less than 1 away from its exact share."""
    # Fractions, because floats are not exact for large totals.
    exact = [total * fractions.Fraction(rate) for rate in rates]
    exact = [share * total / sum(exact) for share in exact]
    counts = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(rates)), key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: total - sum(counts)]:
        counts[task] += 1
    return counts
