"""Weighted statistics beside scikit-learn, SciPy and seqeval on rows that are really repeated."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from lmzoo.evaluation import class_statistics as statistics
from lmzoo.metrics import find_spans

ROWS = 60


@pytest.fixture(params=["once", "resampled"])
def weights(request):
    if request.param == "once":
        return np.ones(ROWS)
    drawn = np.random.default_rng(3).integers(0, ROWS, ROWS)
    return np.bincount(drawn, minlength=ROWS).astype("float64")


def repeat(weights, *columns):
    """The rows of a resample, as a script would be given them."""
    return [np.repeat(np.asarray(column), weights.astype(int), axis=0) for column in columns]


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_classes_score_as_in_scikit_learn(weights, num_classes):
    generator = np.random.default_rng(num_classes)
    true, predicted = generator.integers(0, num_classes, (2, ROWS))
    rows = repeat(weights, true, predicted)
    for make, function in (
        (statistics.make_accuracy, sklearn.metrics.accuracy_score),
        (statistics.make_macro_f1, lambda *x: sklearn.metrics.f1_score(*x, average="macro")),
        (statistics.make_micro_f1, lambda *x: sklearn.metrics.f1_score(*x, average="micro")),
        (statistics.make_matthews, sklearn.metrics.matthews_corrcoef),
    ):
        assert make(true, predicted)(weights) == pytest.approx(function(*rows), abs=1e-12)


def test_predictions_of_one_class_have_no_correlation(weights):
    assert statistics.make_matthews([0, 1] * 30, [1] * ROWS)(weights) == 0.0


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_sets_of_classes_score_as_in_scikit_learn(weights, average):
    true, predicted = np.random.default_rng(0).random((2, ROWS, 4)) < 0.4
    rows = repeat(weights, true, predicted)
    expected = sklearn.metrics.f1_score(*rows, average=average, zero_division=0)
    found = statistics.make_set_f1(true, predicted, average)(weights)
    assert found == pytest.approx(expected, abs=1e-12)
    accuracy = statistics.make_set_accuracy(true, predicted)(weights)
    assert accuracy == pytest.approx(sklearn.metrics.accuracy_score(*rows), abs=1e-12)


def test_a_class_that_is_nowhere_is_no_part_of_the_mean():
    true = predicted = np.array([[True, False, False]])
    assert statistics.make_set_f1(true, predicted, "macro")(np.ones(1)) == 1.0
    assert statistics.make_macro_f1([2, 2], [2, 2])(np.ones(2)) == 1.0


@pytest.mark.parametrize("kind", ["real", "tied", "far"])
def test_correlations_are_those_of_scipy(weights, kind):
    generator = np.random.default_rng(1)
    true = generator.normal(size=ROWS)
    predicted = true + generator.normal(size=ROWS)
    if kind == "tied":
        true, predicted = np.round(true), np.round(predicted)
    if kind == "far":
        true, predicted = 1000 + 1e-3 * true, 5e-9 * predicted
    rows = repeat(weights, true, predicted)
    pearson = statistics.make_correlation(true, predicted)(weights)
    assert pearson == pytest.approx(scipy.stats.pearsonr(*rows).statistic, abs=1e-9)
    spearman = statistics.make_rank_correlation(true, predicted)(weights)
    assert spearman == pytest.approx(scipy.stats.spearmanr(*rows).statistic, abs=1e-12)


@pytest.mark.parametrize("number", [0.1, 1e12])
def test_equal_numbers_have_no_correlation(number):
    for make in (statistics.make_correlation, statistics.make_rank_correlation):
        assert make([number] * 5, range(5))(np.ones(5)) == 0.0


def test_the_calibration_error_is_the_mean_gap_of_the_bins(weights):
    generator = np.random.default_rng(2)
    scores = np.concatenate([generator.random(ROWS - 3), [0.0, 1.0, 1 / 15]])
    is_right = generator.random(ROWS) < scores
    rows = repeat(weights, scores, is_right)
    expected = 0.0
    for lower in np.arange(15) / 15:
        inside = (rows[0] > lower) & (rows[0] <= lower + 1 / 15)
        if lower == 0:
            inside |= rows[0] == 0
        if inside.any():
            gap = abs(rows[0][inside].mean() - rows[1][inside].mean())
            expected += gap * inside.sum() / weights.sum()
    compute = statistics.make_calibration_error(np.ones(ROWS, int), is_right.astype(int), scores)
    assert compute(weights) == pytest.approx(expected, abs=1e-12)


def test_spans_score_as_in_seqeval(golden_metrics):
    for case in golden_metrics["spans"]:
        counts = []
        for true, predicted in zip(case["true"], case["predicted"], strict=True):
            wanted, found = (
                set(find_spans([case["tags"][int(tag)] for tag in row]))
                for row in (true, predicted)
            )
            counts.append([len(wanted & found), len(wanted), len(found)])
        for name in ("f1", "precision", "recall"):
            found = statistics.make_span_score(counts, name)(np.ones(len(counts)))
            assert found == pytest.approx(case["scores"][f"micro {name}"], abs=1e-12)


def test_ranks_are_reciprocal_or_within_k():
    weights = np.array([2.0, 1.0, 1.0])
    assert statistics.make_reciprocal_rank([1, 2, 4])(weights) == pytest.approx((2 + 0.75) / 4)
    assert statistics.make_recall([1, 2, 4], k=2)(weights) == 0.75
    assert statistics.make_ratio([1, 1], [0, 0])(np.ones(2)) == 0.0
