"""The geometry of parallel coordinates: an axis for each hyperparameter, and one for the result."""

import math
from typing import NamedTuple

from lmzoo.tuning.report.importance import encode_values, list_names

__all__ = ["Axis", "make_axes"]

# From this ratio of the ends on an axis of positive numbers is logarithmic.
_LOG_RATIO = 20.0


class Axis(NamedTuple):
    """One axis.

    name: str.
    places: list of float in [0, 1] or None, one for each trial; None where it has no value.
    ticks: list of (float in [0, 1], str), at most six.
    """

    name: str
    places: list
    ticks: list


def make_axes(report):
    """The axes of a report, and the trials that have lines.

    Args:
        report: dict, as `make_report` gives it.
    Returns:
        list of Axis, the last one that of the objective; and list of the trials, dict, the worst
        first, so that the best lines are drawn last.
    """
    trials = [trial for trial in report["trials"] if trial["rank"] is not None]
    trials.sort(key=lambda trial: -trial["rank"])
    importance = report["importance"] or {}
    names = sorted(list_names(trials), key=lambda name: -importance.get(name, 0.0))
    axes = [_make_axis(name, *encode_values(trials, name)) for name in names]
    objective = [trial["objective"] for trial in trials]
    return [*axes, _make_axis(report["objective"], objective, None)], trials


def _make_axis(name, values, labels):
    found = [value for value in values if value is not None]
    low, high = min(found), max(found)
    if labels is not None:
        top = max(len(labels) - 1, 1)
        places = [None if value is None else value / top for value in values]
        return Axis(name, places, [(place / top, label) for place, label in labels])
    is_log = low > 0 and high / low >= _LOG_RATIO
    scale = math.log if is_log else float
    width = scale(high) - scale(low)

    def place(value):
        return 0.5 if width == 0 else (scale(value) - scale(low)) / width

    different = sorted(set(found))
    if len(different) > 6:
        shares = [index / 4 for index in range(5)]
        middle = [scale(low) + share * width for share in shares]
        different = [math.exp(each) if is_log else each for each in middle]
        ticks = list(zip(shares, (f"{each:.3g}" for each in different), strict=True))
    else:
        ticks = [(place(each), f"{each:.4g}") for each in different]
    return Axis(name, [None if value is None else place(value) for value in values], ticks)
