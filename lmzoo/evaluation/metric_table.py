"""The metrics by name: what each reads of `Outputs`, and the statistic that it makes of it."""

import dataclasses
import difflib
import functools
import re
import typing

from lmzoo.evaluation import class_statistics as of_classes
from lmzoo.evaluation import text_statistics as of_texts

__all__ = ["METRICS", "Metric", "find_metric", "list_metrics", "look_up"]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of one form of outputs.

    Args:
        columns: tuple of str. The columns of `Outputs` that it reads.
        make: callable. Takes these columns, and with `takes_settings` the settings as `settings`;
            gives a statistic, weights float64 (n,) -> float.
        higher_is_better: bool or None. None where neither end is better.
        takes_settings: bool.
        num_groups: int or None. Where the score compares texts with each other: the groups of a
            jackknife, which gives its interval; see `resampling`.
        highest: float or None. Of such a score: the highest number that it can be; the lowest is 0.
    """

    columns: tuple
    make: typing.Any
    higher_is_better: bool | None = True
    takes_settings: bool = False
    num_groups: int | None = None
    highest: float | None = None

    def make_statistic(self, outputs, settings):
        columns = [outputs.columns[name] for name in self.columns]
        return self.make(*columns, **({"settings": settings} if self.takes_settings else {}))


_CLASSES = ("true_ids", "predicted_ids")
_SETS = ("true_sets", "predicted_sets")
_NUMBERS = ("true_numbers", "predicted_numbers")
_PAIRS = ("texts", "references")
_of_texts = functools.partial(Metric, takes_settings=True)


def _make_spans(name):
    return Metric(("span_counts",), functools.partial(of_classes.make_span_score, name=name))


# A name stands for one number, which may be computed of several forms of outputs.
METRICS = {
    "accuracy": (
        Metric(_CLASSES, of_classes.make_accuracy),
        Metric(_SETS, of_classes.make_set_accuracy),
        Metric(("num_right", "num_words"), of_classes.make_ratio),
    ),
    "macro_f1": (
        Metric(_CLASSES, of_classes.make_macro_f1),
        Metric(_SETS, functools.partial(of_classes.make_set_f1, average="macro")),
    ),
    "micro_f1": (
        Metric(_CLASSES, of_classes.make_micro_f1),
        Metric(_SETS, functools.partial(of_classes.make_set_f1, average="micro")),
    ),
    "matthews_correlation": (Metric(_CLASSES, of_classes.make_matthews),),
    "calibration_error": (
        Metric((*_CLASSES, "scores"), of_classes.make_calibration_error, higher_is_better=False),
    ),
    "span_f1": (_make_spans("f1"),),
    "span_precision": (_make_spans("precision"),),
    "span_recall": (_make_spans("recall"),),
    "exact_match": (Metric(("exact_matches",), of_classes.make_mean),),
    "squad_f1": (Metric(("answer_f1s",), of_classes.make_mean),),
    "pearson": (Metric(_NUMBERS, of_classes.make_correlation),),
    "spearman": (Metric(_NUMBERS, of_classes.make_rank_correlation),),
    "mean_absolute_error": (
        Metric(("absolute_errors",), of_classes.make_mean, higher_is_better=False),
    ),
    "mrr": (Metric(("ranks",), of_classes.make_reciprocal_rank),),
    "perplexity": (
        Metric(("nats", "num_tokens"), of_texts.make_perplexity, higher_is_better=False),
    ),
    "bits_per_byte": (
        Metric(("nats", "num_bytes"), of_texts.make_bits_per_byte, higher_is_better=False),
    ),
    "match_rate": (Metric(_PAIRS, of_texts.make_match_rate),),
    "bleu": (_of_texts(_PAIRS, of_texts.make_bleu),),
    "chrf": (Metric(_PAIRS, of_texts.make_chrf),),
    "chrf++": (Metric(_PAIRS, functools.partial(of_texts.make_chrf, word_order=2)),),
    **{
        name: (_of_texts(_PAIRS, functools.partial(of_texts.make_rouge, name=name)),)
        for name in ("rouge1", "rouge2", "rougeL")
    },
    "length_ratio": (_of_texts(_PAIRS, of_texts.make_length_ratio, None),),
    "self_bleu": (
        _of_texts(("texts",), of_texts.make_self_bleu, False, num_groups=20, highest=100.0),
    ),
}
# Names that end in a number: the metric, and the argument that the number is.
_NUMBERED = {
    "recall@": (Metric(("ranks",), of_classes.make_recall), "k"),
    "distinct_": (_of_texts(("texts",), of_texts.make_distinct, num_groups=200, highest=1.0), "n"),
    "repetition_rate_": (_of_texts(("texts",), of_texts.make_repetition_rate, False), "n"),
}


def find_metric(name, columns):
    """The metric of a name that can be computed of some columns.

    Args:
        name: str.
        columns: collection of str. The columns of `Outputs` that the model and the data give.
    Returns:
        Metric.
    Raises:
        TypeError: if `name` is not a str.
        ValueError: if there is no such metric, or none for these columns. The message names those
            that fit.
    """
    if not isinstance(name, str):
        raise TypeError(f"`metrics` must be a list of names. Received: {name!r:.60} in it.")
    if fitting := look_up(name, columns):
        return fitting[0]
    names = list_metrics(columns)
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    reason = "which they have no outputs for" if _look_up(name) else "which is none"
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"`metrics` must name metrics of this model and data: {', '.join(names)}. Received: "
        f"{name!r:.60}, {reason}.{hint}"
    )


def list_metrics(columns):
    """The names of metrics that can be computed of some columns; a K or N stands for any number."""
    columns = set(columns)
    found = [name for name in METRICS if any(set(m.columns) <= columns for m in METRICS[name])]
    for prefix, (metric, argument) in _NUMBERED.items():
        if set(metric.columns) <= columns:
            found.append(f"{prefix}{argument.upper()}")
    return found


def look_up(name, columns):
    """The metrics of a name that can be computed of some columns, a list."""
    return [metric for metric in _look_up(name) if set(metric.columns) <= set(columns)]


def _look_up(name):
    if name in METRICS:
        return METRICS[name]
    found = re.fullmatch(r"(recall@|distinct_|repetition_rate_)([1-9]\d{0,5})", name)
    if found is None:
        return ()
    metric, argument = _NUMBERED[found[1]]
    make = functools.partial(metric.make, **{argument: int(found[2])})
    return (dataclasses.replace(metric, make=make),)
