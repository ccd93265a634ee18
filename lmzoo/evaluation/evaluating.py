"""`lmzoo.evaluate`: a model, data and metrics in, scores with their intervals out."""

import functools
import hashlib
import json

import numpy as np

from lmzoo.evaluation.evaluation import Evaluation, Score
from lmzoo.evaluation.kinds import KINDS, choose_metrics
from lmzoo.evaluation.outputs import Settings
from lmzoo.evaluation.reading import read_data
from lmzoo.evaluation.resampling import Jackknife, check_resampling, find_interval, resample
from lmzoo.keywords import takes_options
from lmzoo.metrics.texts import check_tokens

__all__ = ["evaluate"]


@takes_options(Settings)
def evaluate(task, data, metrics=None, *, options):
    """Evaluates a task on labelled data: each metric with its bootstrap confidence interval.

    What data must hold depends on the task:

    | task | columns of rows | files |
    |---|---|---|
    | `TextClassifier`, `TextRegressor` | `text`, `label`, maybe `pair` | CSV, TSV, JSON lines |
    | the first with one label a text | the same | also a folder for each label |
    | `TokenClassifier` | `words`, `tags` | CoNLL |
    | `QuestionAnswerer` | `question`, `context`, `answers` | SQuAD |
    | `TextEmbedder` | `text`, `pair`: search; with `label`: similarity | CSV, TSV, JSON lines |
    | `CausalLM` | `text`: likelihood; `source`, maybe `target`: writing | plain text, tables |
    | `Seq2SeqLM` | `source`, maybe `target` | tables, lines of plain text |
    | `MaskedLM` | `text` | lines of plain text, tables |

    Args:
        task: a task of `lmzoo.tasks`, or a baseline of `lmzoo.evaluation.baselines`.
        data: files (str, pathlib.Path or a list of them), `lmzoo.data.Rows`, or a dict of column to
            list. All rows are held in memory.
        metrics: list of names, or one str with commas between them. None for the usual ones of the
            task. A name that does not fit raises an error that lists those that do; see the page
            of this room for what each is.
        references: list of str or of lists of str, or a file with one in each line: the column
            `target`, for sources that come without it.
        columns: dict of column to its name in a table, such as {"text": "sentence"}.
        batch_size: int or None. Rows in one forward pass; None for what suits the task.
        stride: int or None. For the perplexity of long documents: tokens that each window scores.
            None for half of the context; 1 gives each token the longest context, and takes long.
        generation: dict or None. Options of `generate`, such as {"max_new_tokens": 32}.
        tokens: "words" or "characters". What ROUGE, distinct-n, repetition and length count.
        bleu_tokenize: str. How sacrebleu finds words; see `lmzoo.metrics.bleu`.
        num_resamples: int. How often the rows are drawn anew for the intervals.
        confidence: float in (0, 1). Of the intervals.
        seed: int. Of the resamples.
        name: str or None. What tables call the model; None for the name of its class.
        verbose: bool. Whether a terminal shows progress.
    Returns:
        Evaluation.
    Raises:
        TypeError: if an argument has another type.
        ValueError: if a metric does not fit, there is no row, references are not as many as the
            rows, or data lacks a column.
        OSError: if a file cannot be read.
        ImportError: if BLEU or chrF is asked for without sacrebleu.
    Example:
        evaluation = lmzoo.evaluate(classifier, "test.csv", ["accuracy", "macro_f1"])
        print(evaluation)
        evaluation.scores["accuracy"].value

    Reference: Efron and Tibshirani 1993, "An introduction to the bootstrap".
    """
    check_resampling(options.num_resamples, options.confidence)
    check_tokens(options.tokens)
    kind = getattr(task, "prediction_kind", None)
    if kind not in KINDS:
        raise TypeError(
            "`task` must be a task of `lmzoo.tasks` or a baseline. Received: a "
            f"{type(task).__name__}."
        )
    rows = read_data(data, KINDS[kind].read, options.columns, options.references)
    chosen = choose_metrics(kind, rows.columns, metrics)
    outputs = {}
    for _, part in chosen.values():
        if part.predict not in outputs:
            outputs[part.predict] = part.predict(task, rows, options)
    statistics = {
        name: metric.make_statistic(outputs[part.predict], options)
        for name, (metric, part) in chosen.items()
    }
    scores = {}
    for predict, found in outputs.items():
        own = {name: metric for name, (metric, part) in chosen.items() if part.predict is predict}
        ends = _find_intervals(own, statistics, found.num_rows, options)
        for name, metric in own.items():
            value = statistics[name](np.ones(found.num_rows))
            scores[name] = Score(
                value, *ends[name](value), found.num_rows, found.unit, metric.higher_is_better
            )
    return Evaluation(
        name=options.name or type(task).__name__,
        scores={name: scores[name] for name in chosen},
        outputs=list(outputs.values()),
        settings=options,
        rows_digest=_digest(rows),
        statistics={
            name: (metric, statistics[name], outputs[part.predict])
            for name, (metric, part) in chosen.items()
        },
    )


def _find_intervals(metrics, statistics, num_rows, options):
    """For each metric of one Outputs a function from its value to (low, high)."""
    if num_rows == 1:
        # All resamples are the same.
        return dict.fromkeys(metrics, lambda value: (None, None))
    found, seed, confidence = {}, options.seed, options.confidence
    plain = [name for name, metric in metrics.items() if metric.num_groups is None]
    for name in set(metrics) - set(plain):
        groups = Jackknife(statistics[name], num_rows, metrics[name].num_groups, seed)
        limits = (0.0, metrics[name].highest)
        found[name] = functools.partial(groups.find_interval, confidence=confidence, limits=limits)
    functions = [statistics[name] for name in plain]
    if plain:
        values = resample(functions, num_rows, options.num_resamples, seed, options.verbose)
        for name, column in zip(plain, values.T, strict=True):
            interval = find_interval(column, confidence)
            found[name] = lambda value, interval=interval: interval
    return found


def _digest(rows):
    """A fingerprint of the rows, by which two evaluations know that they have the same."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True).encode("utf-8"))
    return digest.hexdigest()
