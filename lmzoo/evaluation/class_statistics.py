"""Scores of classes, sets of classes, numbers, spans, answers and ranks, of weighted rows.

Each function takes the columns of `Outputs` and gives a statistic: weights (n,) -> float. With
weights of one it has the number of the metric of the same name in `lmzoo.metrics`, which works on
batches of logits.
"""

import numpy as np

__all__ = [
    *("make_accuracy", "make_calibration_error", "make_correlation", "make_macro_f1"),
    *("make_matthews", "make_mean", "make_micro_f1", "make_ratio", "make_recall"),
    *("make_rank_correlation", "make_reciprocal_rank", "make_set_accuracy", "make_set_f1"),
    *("make_span_score", "fill_bins", "NUM_BINS"),
]

# Bins of confidence, as in most papers since Guo et al. 2017.
NUM_BINS = 15


def make_mean(values):
    """The weighted mean of numbers (n,)."""
    values = np.asarray(values, "float64")
    return lambda weights: float(weights @ values / weights.sum())


def make_ratio(numerators, denominators):
    """The ratio of two weighted sums of numbers (n,); 0 where the lower one is 0."""
    numerators, denominators = (np.asarray(x, "float64") for x in (numerators, denominators))

    def compute(weights):
        below = weights @ denominators
        return float(weights @ numerators / below) if below else 0.0

    return compute


def make_accuracy(true_ids, predicted_ids):
    return make_mean(np.asarray(true_ids) == np.asarray(predicted_ids))


def make_micro_f1(true_ids, predicted_ids):
    """Micro-averaged F1. With one class a row it is the accuracy."""
    return make_accuracy(true_ids, predicted_ids)


def make_macro_f1(true_ids, predicted_ids):
    """F1, averaged over the classes that occur in the labels or predictions of the resample."""
    true_ids, predicted_ids = np.asarray(true_ids), np.asarray(predicted_ids)
    size = 1 + int(max(true_ids.max(), predicted_ids.max()))
    is_right = true_ids == predicted_ids

    def compute(weights):
        right = np.bincount(true_ids, weights * is_right, size)
        both = np.bincount(true_ids, weights, size) + np.bincount(predicted_ids, weights, size)
        return _mean_f1(right, both)

    return compute


def make_matthews(true_ids, predicted_ids):
    """The Matthews correlation coefficient, 0 where labels or predictions are of one class."""
    true_ids, predicted_ids = np.asarray(true_ids), np.asarray(predicted_ids)
    size = 1 + int(max(true_ids.max(), predicted_ids.max()))
    is_right = true_ids == predicted_ids

    def compute(weights):
        true = np.bincount(true_ids, weights, size)
        predicted = np.bincount(predicted_ids, weights, size)
        total, right = weights.sum(), weights @ is_right
        variances = (total**2 - true @ true) * (total**2 - predicted @ predicted)
        if variances <= 0:
            return 0.0
        return float((right * total - true @ predicted) / np.sqrt(variances))

    return compute


def make_set_accuracy(true_sets, predicted_sets):
    """The share of rows whose whole set of classes is right."""
    return make_mean(np.all(np.asarray(true_sets) == np.asarray(predicted_sets), axis=1))


def make_set_f1(true_sets, predicted_sets, average):
    """F1 of sets of classes, bool (n, C); "macro" is over the classes that occur in either."""
    true, predicted = (np.asarray(x, "float64") for x in (true_sets, predicted_sets))
    right, both = true * predicted, true + predicted

    def compute(weights):
        # (n,), (n, C) -> (C,)
        counts = weights @ right, weights @ both
        if average == "micro":
            return float(2 * counts[0].sum() / counts[1].sum()) if counts[1].sum() else 0.0
        return _mean_f1(*counts)

    return compute


def _mean_f1(right, both):
    """The mean of 2 TP / (labels + predictions) over the classes that have any."""
    occurs = both > 0
    return float(np.mean(2 * right[occurs] / both[occurs])) if occurs.any() else 0.0


def fill_bins(confidences, is_right, weights=None):
    """Sums of confidence, accuracy and weight in equal bins of confidence, (NUM_BINS,) each."""
    confidences = np.asarray(confidences, "float64")
    weights = np.ones_like(confidences) if weights is None else weights
    # A bin holds its upper end, as (0, 1/15], (1/15, 2/15] and so on.
    bins = np.clip(np.ceil(confidences * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    sums = (weights * confidences, weights * is_right, weights)
    return tuple(np.bincount(bins, values, NUM_BINS) for values in sums)


def make_calibration_error(true_ids, predicted_ids, scores):
    """Expected calibration error of the best label: the mean gap of confidence and accuracy.

    Reference: Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 2, with 15 equal bins.
    """
    is_right = np.asarray(true_ids) == np.asarray(predicted_ids)

    def compute(weights):
        confidence, accuracy, count = fill_bins(scores, is_right, weights)
        return float(np.abs(confidence - accuracy).sum() / count.sum())

    return compute


def make_span_score(span_counts, name):
    """Precision, recall or F1 of spans, from the correct, true and predicted ones of each row."""
    counts = np.asarray(span_counts, "float64")

    def compute(weights):
        # (n,), (n, 3) -> (3,)
        correct, true, predicted = weights @ counts
        below = {"precision": predicted, "recall": true, "f1": (true + predicted) / 2}[name]
        return float(correct / below) if below else 0.0

    return compute


def make_reciprocal_rank(ranks):
    """Mean reciprocal rank of the right candidate; ranks count from 1."""
    return make_mean(1 / np.asarray(ranks, "float64"))


def make_recall(ranks, k):
    """The share of queries whose right candidate is among the first k."""
    return make_mean(np.asarray(ranks) <= k)


def make_correlation(true_numbers, predicted_numbers):
    """Pearson's correlation, 0 where one side is constant."""
    true, predicted = (_standardize(x) for x in (true_numbers, predicted_numbers))
    return lambda weights: _correlate(true, predicted, weights)


def make_rank_correlation(true_numbers, predicted_numbers):
    """Spearman's correlation: Pearson's of the ranks, which are ranked anew in each resample."""
    rank_true, rank_predicted = (_make_ranking(x) for x in (true_numbers, predicted_numbers))
    return lambda weights: _correlate(rank_true(weights), rank_predicted(weights), weights)


def _standardize(numbers):
    """Numbers about 0 with a deviation of 1: sums of squares lose precision beside a large mean."""
    numbers = np.asarray(numbers, "float64")
    mean, deviation = numbers.mean(), numbers.std()
    is_constant = deviation <= 1e-13 * abs(mean)
    return (numbers - mean) / deviation if not is_constant else np.zeros_like(numbers)


def _make_ranking(numbers):
    """A function of weights that gives the mean rank of each number among all; ties share it."""
    _, group = np.unique(np.asarray(numbers, "float64"), return_inverse=True)

    def rank(weights):
        counts = np.bincount(group, weights)
        # A group of equal numbers has the ranks after those of all smaller ones.
        means = np.cumsum(counts) - (counts - 1) / 2
        return means[group]

    return rank


def _correlate(one, other, weights):
    total = weights.sum()
    one, other = one - weights @ one / total, other - weights @ other / total
    variances = (weights @ (one * one)) * (weights @ (other * other))
    # What is left of equal numbers is rounding.
    if variances <= (1e-13 * total) ** 2:
        return 0.0
    return float(np.clip(weights @ (one * other) / np.sqrt(variances), -1, 1))
