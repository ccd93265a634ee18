"""The baselines that suit a task, evaluated on the rows that it was."""

from lmzoo.evaluation.baselines.bm25 import BM25
from lmzoo.evaluation.baselines.kneser_ney import KneserNeyLM
from lmzoo.evaluation.baselines.lstm import LSTMLM
from lmzoo.evaluation.baselines.tfidf import TfidfClassifier
from lmzoo.evaluation.evaluating import evaluate
from lmzoo.evaluation.kinds import KINDS, list_fitting
from lmzoo.evaluation.reading import read_data

__all__ = ["BASELINES", "check_train", "evaluate_baselines"]

# By the kind of task: the baseline, and whether it is fitted on labelled rows or texts.
BASELINES = {
    "classes": ((TfidfClassifier, True),),
    "class_sets": ((TfidfClassifier, True),),
    "completions": ((KneserNeyLM, True), (LSTMLM, True)),
    "embeddings": ((BM25, False),),
}


def check_train(task, train):
    """Refuses to evaluate baselines that would have nothing to be fitted on.

    Args:
        task: a task of `lmzoo.tasks`.
        train: data, or None.
    Raises:
        ValueError: if there is no baseline for the task, or one needs `train` and it is None.
    """
    baselines = BASELINES.get(task.prediction_kind, ())
    if not baselines:
        raise ValueError(
            "`task` must be a CausalLM, TextClassifier or TextEmbedder to have baselines. "
            f"Received: a {type(task).__name__}."
        )
    names = [baseline.__name__ for baseline, is_fitted in baselines if is_fitted]
    if train is None and names:
        raise ValueError(f"`train` must be given to fit {', '.join(names)}. Received: train=None.")


def evaluate_baselines(task, data, metrics, train=None, *, columns=None, **settings):
    """Fits the baselines of a task and evaluates them.

    Args:
        task: a task of `lmzoo.tasks`.
        data: what the task was evaluated on; see `lmzoo.evaluate`.
        metrics: list of str. Those that a baseline has outputs for are computed.
        train: data of the same form to fit on, or None where the baselines learn nothing.
        columns, **settings: as for `lmzoo.evaluate`. `seed` is also that of the baselines.
    Returns:
        list of Evaluation.
    Raises:
        ImportError: if a baseline needs scikit-learn and it is not installed.
        ValueError: if there is no baseline for the task and the metrics, or it must be fitted and
            there is nothing to fit it on.
    Example:
        evaluation = lmzoo.evaluate(lm, "test.txt")
        others = evaluate_baselines(lm, "test.txt", list(evaluation.scores), "train.txt")
        print(lmzoo.evaluation.compare(evaluation, *others))
    """
    check_train(task, train)
    rows = read_data(data, KINDS[task.prediction_kind].read, columns)
    chosen = []
    for baseline, _ in BASELINES[task.prediction_kind]:
        # A classifier's kind depends on its labels, which are those of the task.
        kind = task.prediction_kind if baseline is TfidfClassifier else baseline.prediction_kind
        if names := list_fitting(kind, rows.columns, metrics):
            chosen.append((baseline, names))
    if not chosen:
        raise ValueError(
            "`metrics` must have one that a baseline of this task has outputs for. Received: "
            f"{', '.join(metrics)} for a {type(task).__name__}."
        )
    fitted_on, evaluations = None, []
    if train is not None:
        fitted_on = read_data(train, KINDS[task.prediction_kind].read, columns)
    for baseline, names in chosen:
        seed, verbose = settings.get("seed", 0), settings.get("verbose", True)
        model = baseline.build(task, fitted_on, seed, verbose)
        evaluations.append(evaluate(model, rows, names, name=baseline.__name__, **settings))
    return evaluations
