"""What each kind of task is evaluated on: its files, its outputs, and its usual metrics.

A task names its kind, `prediction_kind`. Everything that depends on the kind stands in the table
below; a baseline or any other object takes part by naming a kind and having that kind's methods.
"""

import dataclasses
import typing

from lmzoo.evaluation import predicting, reading, scoring
from lmzoo.evaluation.metric_table import find_metric, look_up

__all__ = ["KINDS", "Kind", "Part", "choose_metrics", "list_fitting"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One way to use a model.

    Args:
        needs: tuple of str. The columns that rows must have.
        gives: tuple of str. The columns of the `Outputs`.
        predict: callable. Takes a model, Rows and Settings, gives Outputs.
        defaults: tuple of str. The metrics that are computed where none are named.
        lacks: tuple of str. Columns with which rows are meant for another part.
    """

    needs: tuple
    gives: tuple
    predict: typing.Any
    defaults: tuple
    lacks: tuple = ()

    def takes(self, columns):
        """Whether it can be used on rows with these columns."""
        return set(self.needs) <= set(columns) and not set(self.lacks) & set(columns)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of task.

    Args:
        read: callable. Takes paths and names of columns, gives Rows; see `reading`.
        parts: tuple of Part. The first that gives what a metric reads is used for it.
    """

    read: typing.Any
    parts: tuple


_CLASSES = ("true_ids", "predicted_ids")
_LIKELIHOODS = ("nats", "num_tokens", "num_bytes")
_OF_REFERENCES = ("chrf", "bleu", "rougeL", "match_rate", "length_ratio")
_OF_TEXTS = ("distinct_1", "distinct_2", "self_bleu", "repetition_rate_4")
_ranks = Part(("text", "pair"), ("ranks",), predicting.rank_pairs, ("mrr", "recall@1", "recall@10"))
_documents = Part(("text",), _LIKELIHOODS, scoring.score_documents, ("perplexity", "bits_per_byte"))
_targets = Part(
    ("source", "target"), _LIKELIHOODS, scoring.score_targets, ("perplexity",), lacks=("text",)
)
_continuations = dataclasses.replace(_targets, predict=scoring.score_continuations)
_replies = Part(
    ("source", "target"), ("texts", "references"), predicting.write_texts, _OF_REFERENCES
)
_alone = Part(("source",), ("texts",), predicting.write_texts, _OF_TEXTS, lacks=("target",))

KINDS = {
    "classes": Kind(
        reading.read_labelled,
        (
            Part(
                ("text", "label"),
                (*_CLASSES, "scores"),
                predicting.predict_classes,
                ("accuracy", "macro_f1", "calibration_error"),
            ),
        ),
    ),
    "class_sets": Kind(
        reading.read_labelled,
        (
            Part(
                ("text", "label"),
                ("true_sets", "predicted_sets"),
                predicting.predict_class_sets,
                ("accuracy", "macro_f1", "micro_f1"),
            ),
        ),
    ),
    "numbers": Kind(
        reading.read_numbered,
        (
            Part(
                ("text", "label"),
                ("true_numbers", "predicted_numbers", "absolute_errors"),
                predicting.predict_numbers,
                ("pearson", "spearman", "mean_absolute_error"),
            ),
        ),
    ),
    "number_rows": Kind(
        reading.read_numbered,
        (
            Part(
                ("text", "label"),
                ("absolute_errors",),
                predicting.predict_numbers,
                ("mean_absolute_error",),
            ),
        ),
    ),
    "tags": Kind(
        reading.read_tagged,
        (
            Part(
                ("words", "tags"),
                ("num_right", "num_words"),
                predicting.predict_tags,
                ("accuracy",),
            ),
        ),
    ),
    "spans": Kind(
        reading.read_tagged,
        (
            Part(
                ("words", "tags"),
                ("num_right", "num_words", "span_counts"),
                predicting.predict_spans,
                ("span_f1", "span_precision", "span_recall", "accuracy"),
            ),
        ),
    ),
    "answers": Kind(
        reading.read_answers,
        (
            Part(
                ("question", "context", "answers"),
                ("exact_matches", "answer_f1s"),
                predicting.predict_answers,
                ("exact_match", "squad_f1"),
            ),
        ),
    ),
    "embeddings": Kind(
        reading.read_numbered,
        (
            dataclasses.replace(_ranks, lacks=("label",)),
            Part(
                ("text", "pair", "label"),
                ("true_numbers", "predicted_numbers"),
                predicting.compare_pairs,
                ("spearman", "pearson"),
            ),
        ),
    ),
    # A search without vectors, such as BM25.
    "rankings": Kind(
        reading.read_numbered, (dataclasses.replace(_ranks, predict=predicting.rank_alone),)
    ),
    # A language model, a text-to-text model, and a model that only scores texts.
    "completions": Kind(reading.read_documents, (_documents, _continuations, _replies, _alone)),
    "replies": Kind(reading.read_sources, (_targets, _replies, _alone)),
    "likelihoods": Kind(
        reading.read_documents,
        (dataclasses.replace(_documents, predict=scoring.score_texts_alone),),
    ),
    "masked_tokens": Kind(
        reading.read_lines,
        (
            Part(
                ("text",),
                ("nats", "num_tokens", "num_right", "num_words"),
                predicting.predict_masked_tokens,
                ("perplexity", "accuracy"),
            ),
        ),
    ),
}


def list_fitting(kind, columns, names):
    """Those of some metrics that a kind has outputs for, of rows with some columns."""
    parts = [part for part in KINDS[kind].parts if part.takes(columns)]
    given = {column for part in parts for column in part.gives}
    return [name for name in names if look_up(name, given)]


def choose_metrics(kind, columns, names=None):
    """Finds each metric and the part whose outputs it reads, before anything is predicted.

    Args:
        kind: str. A key of `KINDS`.
        columns: tuple of str. The columns of the rows.
        names: str (names with commas between them), list of str, or None for the usual ones.
    Returns:
        dict of name to (Metric, Part).
    Raises:
        TypeError: if `names` is no list of str.
        ValueError: if a name is no metric that fits, or no part takes the columns.
    """
    parts = [part for part in KINDS[kind].parts if part.takes(columns)]
    if not parts:
        forms = " or ".join(dict.fromkeys(", ".join(part.needs) for part in KINDS[kind].parts))
        raise ValueError(
            f"`data` must have the columns {forms} for this model. Received: "
            f"{', '.join(columns)}. `columns` names those of a table."
        )
    if names is None:
        names = [name for part in parts for name in part.defaults]
    elif isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    if not isinstance(names, list | tuple) or not names:
        raise TypeError(f"`metrics` must be a list of names. Received: metrics={names!r:.80}.")
    given = {column for part in parts for column in part.gives}
    chosen = {}
    for name in names:
        metric = find_metric(name, given)
        needed = set(metric.columns)
        chosen[name] = (metric, next(part for part in parts if needed <= set(part.gives)))
    return chosen
