"""Two or more models on the same rows: the difference of each score, with a paired test."""

import typing

import numpy as np

from lmzoo.evaluation.resampling import Jackknife, find_interval, find_p_value, resample
from lmzoo.evaluation.tables import format_number, format_score, make_table

__all__ = ["Comparison", "Difference", "compare"]


class Difference(typing.NamedTuple):
    """How much higher the first model scores than another one.

    value: float.
    low, high: float or None. The confidence interval; None where there is a single row.
    p_value: float or None. Two-sided, under the null hypothesis that the models are equal.
    """

    value: float
    low: float | None
    high: float | None
    p_value: float | None


class Comparison:
    """Evaluations side by side; `print` shows them as a table.

    Attributes:
        evaluations: list of Evaluation. The first is the one that the others are compared with.
        differences: list of dict of metric to Difference, one for each evaluation but the first.
    """

    def __init__(self, evaluations, differences):
        self.evaluations = evaluations
        self.differences = differences

    def __str__(self):
        first, *others = self.evaluations
        rows = []
        for name, score in first.scores.items():
            rows.append((name, first.name, *format_score(score), "", ""))
            for other, differences in zip(others, self.differences, strict=True):
                if name in differences:
                    cells = _format_difference(differences[name], score)
                    rows.append(("", other.name, *format_score(other.scores[name]), *cells))
        share = f"{first.settings.confidence:.0%} interval"
        return make_table(["metric", "model", "value", share, "difference", "p"], rows)

    def to_dict(self):
        """The evaluations and their differences, of values that JSON has."""
        return {
            "evaluations": [evaluation.to_dict() for evaluation in self.evaluations],
            "differences": [
                {name: found._asdict() for name, found in differences.items()}
                for differences in self.differences
            ],
        }


def _format_difference(found, score):
    sign = "+" if found.value >= 0 else "-"
    p_value = "-" if found.p_value is None else f"{found.p_value:.3f}"
    return f"{sign}{format_number(abs(found.value), score.value)}", p_value


def compare(first, *others):
    """Compares evaluations on the same rows by the paired bootstrap test.

    Rows are drawn with replacement, the same for both models, and the difference of their scores is
    computed of each draw. Its p-value is the share of draws in which it is as far from its mean as
    the observed one is from 0. Scores that compare texts with each other (distinct-n, self-BLEU)
    have the jackknife of the difference instead, with the normal distribution.

    Args:
        first: Evaluation.
        *others: Evaluations on the same rows. What `first` has no score for is left out.
    Returns:
        Comparison.
    Raises:
        ValueError: if the rows are not the same, or nothing can be compared.
    Example:
        one = lmzoo.evaluate(classifier, rows, name="BERT")
        other = lmzoo.evaluate(baseline, rows, name="TF-IDF")
        print(lmzoo.evaluation.compare(one, other))

    Reference: Koehn 2004, https://aclanthology.org/W04-3250; the p-value as in Efron and
        Tibshirani 1993, section 16.4.
    """
    return Comparison([first, *others], [_compare_two(first, other) for other in others])


def _compare_two(first, other):
    if first.rows_digest != other.rows_digest:
        raise ValueError(
            "Evaluations must be of the same rows to be compared. Received: "
            f"{first.name} and {other.name}, whose data differ."
        )
    common = [name for name in first.scores if name in other.scores]
    names = [name for name in common if _is_paired(first, other, name)]
    if not names:
        raise ValueError(
            "Evaluations must have a metric of the same rows in common. Received: "
            f"{first.name} with {', '.join(first.scores)}; {other.name} with "
            f"{', '.join(other.scores)}. Windows of two tokenizers are not the same rows."
        )
    return {name: _find_difference(first, other, name) for name in names}


def _is_paired(first, other, name):
    """Whether two scores are of the same units: windows differ with tokenizer and context."""
    one, two = (evaluation.statistics[name][2] for evaluation in (first, other))
    if (one.num_rows, one.unit) != (two.num_rows, two.unit):
        return False
    return one.unit != "windows" or np.array_equal(*(x.columns["num_tokens"] for x in (one, two)))


def _find_difference(first, other, name):
    settings, num_rows = first.settings, first.scores[name].num_rows
    (metric, one, _), (_, two, _) = first.statistics[name], other.statistics[name]

    def subtract(weights):
        return one(weights) - two(weights)

    value = subtract(np.ones(num_rows))
    if num_rows == 1:
        return Difference(value, None, None, None)
    if metric.num_groups is not None:
        groups = Jackknife(subtract, num_rows, metric.num_groups, settings.seed)
        ends = groups.find_interval(value, settings.confidence)
        return Difference(value, *ends, groups.find_p_value(value))
    values = resample([subtract], num_rows, settings.num_resamples, settings.seed)[:, 0]
    ends = find_interval(values, settings.confidence)
    return Difference(value, *ends, find_p_value(values, value))
