"""Exact match and F1 of answers, as the SQuAD scripts compute them."""

import collections
import re
import string

import keras
from keras import ops

from lmzoo.metrics.texts import check_texts

__all__ = [
    "ExactMatch",
    "SquadF1",
    "answer_f1",
    "normalise_answer",
    "score_answers",
    "squad_scores",
    "check_lengths",
]

PUNCTUATION = str.maketrans("", "", string.punctuation)
VERSIONS = ("1.1", "2.0")
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise_answer(text):
    """Normalizes an answer: lower case, no ASCII punctuation, no articles, single spaces.

    Example:
        >>> normalise_answer("The  cat's pyjamas!")
        'cats pyjamas'
    """
    text = text.lower().translate(PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", text).split())


def answer_f1(gold, prediction, version="2.0"):
    """F1 of the words of two normalised answers, 0 to 1.

    Without words an answer equals only another one without; by version 1.1 it equals none.
    """
    gold_words, words = normalise_answer(gold).split(), normalise_answer(prediction).split()
    if not gold_words or not words:
        return float(version == "2.0" and gold_words == words)
    num_common = (collections.Counter(gold_words) & collections.Counter(words)).total()
    return 2 * num_common / (len(gold_words) + len(words))


def squad_scores(predictions, references, no_answer_probabilities=None, version="2.0"):
    """Scores answers as the script of SQuAD 2.0, or that of SQuAD 1.1.

    Where every question has an answer, the scripts differ in gold answers that have nothing but
    articles and punctuation: 2.0 leaves them out, and the question counts as one without an answer
    where it has no other. By 1.1 another such answer matches them, with an F1 of 0.

    Args:
        predictions: list of str. "" says that there is no answer.
        references: list of lists of str. The gold answers of each question, of which the best
            counts; an empty list where the question has no answer.
        no_answer_probabilities: list of float in [0, 1] or None. The model's probability that
            there is no answer. Only the `best_` scores use it. None with version "1.1".
        version: "2.0" or "1.1". With "1.1" each question must have an answer.
    Returns:
        dict under the script's names: `exact`, `f1` (percent) and `total` (questions); the same
        with `HasAns_` and `NoAns_` before it, if there are such questions; and with
        probabilities, `best_exact`, `best_exact_thresh`, `best_f1` and `best_f1_thresh`: the best
        percentage if questions above a threshold are left without an answer, and that threshold.
        With version "1.1", `exact`, `f1` and `total` alone. Of no questions at all, the scores
        are 0.
    Raises:
        TypeError: if an answer is not a str, or those of a question are not in a list.
        ValueError: if the lists differ in length, a probability is not in [0, 1], `version` is
            unknown, or with "1.1" a question has no answer or there are probabilities.
    Example:
        >>> scores = squad_scores(["the cat", ""], [["Cat", "a big cat"], []])
        >>> scores["exact"], scores["HasAns_f1"], scores["NoAns_total"]
        (100.0, 100.0, 1)

    Reference: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; Rajpurkar et al. 2018,
        https://arxiv.org/abs/1806.03822; their evaluate-v1.1.py and evaluate-v2.0.py.
    """
    check_version(version)
    pairs = score_answers(references, predictions, version, ("references", "predictions"))
    scores = {"exact": [exact for exact, _ in pairs], "f1": [f1 for _, f1 in pairs]}
    has_answer = [bool(gold) for gold in references]
    results = _average(scores, range(len(pairs)))
    if version == "1.1":
        if no_answer_probabilities is not None:
            raise ValueError(
                '`no_answer_probabilities` must be None with version "1.1", where each question '
                f"has an answer. Received: {no_answer_probabilities!r:.60}."
            )
        return results
    for prefix, wanted in (("HasAns_", True), ("NoAns_", False)):
        chosen = [index for index, has in enumerate(has_answer) if has is wanted]
        if chosen:
            results |= {prefix + name: value for name, value in _average(scores, chosen).items()}
    if no_answer_probabilities is not None:
        check_lengths(references=references, no_answer_probabilities=no_answer_probabilities)
        _check_probabilities(no_answer_probabilities)
        for name, values in scores.items():
            # What answering a question adds to the total of leaving it unanswered.
            gains = [
                value if has else -float(bool(text))
                for value, has, text in zip(values, has_answer, predictions, strict=True)
            ]
            num_without = len(has_answer) - sum(has_answer)
            best, threshold = _find_best_threshold(gains, no_answer_probabilities, num_without)
            results[f"best_{name}"] = 100.0 * best / max(len(values), 1)
            results[f"best_{name}_thresh"] = threshold
    return results


def score_answers(references, predictions, version, names):
    """Of each question (exact match, F1), each 0 to 1, with the best of its gold answers."""
    check_texts(predictions, names[1])
    check_lengths(**dict(zip(names[::-1], (predictions, references), strict=True)))
    for index, golds in enumerate(references):
        check_texts(golds, f"{names[0]}[{index}]")
        if version == "1.1" and not golds:
            raise ValueError(
                f'`{names[0]}` must hold an answer for each question with version "1.1". '
                f'Received: {names[0]}[{index}]={golds!r}. For such questions there is "2.0".'
            )
    pairs = zip(references, predictions, strict=True)
    return [_score_answer(golds, prediction, version) for golds, prediction in pairs]


def _score_answer(golds, prediction, version):
    if version == "2.0":
        golds = [gold for gold in golds if normalise_answer(gold)] or [""]
    exact = max(float(normalise_answer(gold) == normalise_answer(prediction)) for gold in golds)
    return exact, max(answer_f1(gold, prediction, version) for gold in golds)


def _average(scores, chosen):
    means = {
        name: 100.0 * sum(values[index] for index in chosen) / max(len(chosen), 1)
        for name, values in scores.items()
    }
    return {**means, "total": len(chosen)}


def _find_best_threshold(gains, probabilities, start):
    """The best total of any threshold on the no-answer probability, and that threshold.

    Questions are answered in ascending order of the probability, and `start` is the total if none
    is. As in the script, equal probabilities are taken one by one in the order of the questions.
    """
    total = best = float(start)
    threshold = 0.0
    for index in sorted(range(len(gains)), key=lambda index: probabilities[index]):
        total += gains[index]
        if total > best:
            best, threshold = total, probabilities[index]
    return best, threshold


def _check_probabilities(probabilities):
    for index, probability in enumerate(probabilities):
        if not 0 <= probability <= 1:
            raise ValueError(
                "`no_answer_probabilities` must be in [0, 1]. Received: "
                f"no_answer_probabilities[{index}]={probability}."
            )


def check_lengths(**lists):
    """Raises ValueError unless two lists are of one length."""
    (name, one), (other_name, other) = lists.items()
    if len(one) != len(other):
        raise ValueError(
            f"`{name}` must be as many as `{other_name}`. Received: "
            f"{len(one)} {name}, {len(other)} {other_name}."
        )


def check_version(version):
    """Raises ValueError unless it is a version of SQuAD."""
    if version not in VERSIONS:
        raise ValueError(f"`version` must be one of {VERSIONS}. Received: version={version!r}.")


class AnswerMetric(keras.metrics.Metric):
    """The mean over questions, in percent, of one column of `score_answers`."""

    # Keras reads it where a callback's mode is "auto".
    _direction = "up"
    _column = None

    def __init__(self, name, dtype=None, version="2.0"):
        super().__init__(name=name, dtype=dtype)
        check_version(version)
        self.version = version
        self.total = self.add_weight(name="total", initializer="zeros", dtype="float64")
        self.count = self.add_weight(name="count", initializer="zeros", dtype="float64")

    def update_state(self, y_true, y_pred):
        """Adds gold answers, list of lists of str, and predictions, list of str.

        Raises:
            TypeError, ValueError: as `lmzoo.metrics.squad_scores`.
        """
        pairs = score_answers(y_true, y_pred, self.version, ("y_true", "y_pred"))
        self.total.assign_add(sum((pair[self._column] for pair in pairs), 0.0))
        self.count.assign_add(float(len(y_pred)))

    def result(self):
        return ops.cast(100.0 * ops.divide_no_nan(self.total, self.count), self.dtype)

    def get_config(self):
        return {**super().get_config(), "version": self.version}


@keras.saving.register_keras_serializable(package="lmzoo")
class ExactMatch(AnswerMetric):
    """Exact match: the percentage of answers that equal a gold answer after normalization.

    It takes strings, so call `update_state` yourself; it cannot be passed to `compile`. The `fit`
    of a `QuestionAnswerer` reports this number for the validation data.

    Args:
        name: str. The metric's name.
        dtype: str or None. What `result` gives; the sums are float64.
        version: "2.0" or "1.1". See `lmzoo.metrics.squad_scores`.
    Raises:
        ValueError: if `version` is unknown.

    Example:
        >>> metric = ExactMatch()
        >>> metric.update_state([["Cat", "a big cat"], []], ["the cat", "a dog"])
        >>> float(metric.result())
        50.0

    Reference: see `lmzoo.metrics.squad_scores`.
    """

    _column = 0

    def __init__(self, name="exact_match", dtype=None, version="2.0"):
        super().__init__(name=name, dtype=dtype, version=version)


@keras.saving.register_keras_serializable(package="lmzoo")
class SquadF1(AnswerMetric):
    """F1 of SQuAD: the mean word overlap, in percent, of an answer and its best gold answer.

    It is used as `ExactMatch`, and defined in the same place.

    Args:
        name, dtype, version: as for `ExactMatch`.
    Raises:
        ValueError: as `ExactMatch`.
    Example:
        >>> metric = SquadF1()
        >>> metric.update_state([["Cat", "a big cat"]], ["the big dog"])
        >>> float(metric.result())
        50.0
    """

    _column = 1

    def __init__(self, name="squad_f1", dtype=None, version="2.0"):
        super().__init__(name=name, dtype=dtype, version=version)
