"""Accuracy, F1 and the Matthews correlation against scikit-learn."""

import numpy as np
import pytest

from lmzoo.metrics import F1, Accuracy, MatthewsCorrelation

AVERAGES = ("macro", "micro", "weighted", None)


def measure(metric, *batch):
    metric.update_state(*batch)
    return np.asarray(metric.result()).tolist()


def weights_of(case, kind):
    return np.array(case["weights"]) if kind == "weighted" else None


@pytest.mark.parametrize("kind", ["plain", "weighted"])
@pytest.mark.parametrize("index", range(3))
def test_one_label_gives_the_numbers_of_scikit_learn(golden, make_logits, index, kind):
    case = golden["single_label"][index]
    size, wanted = case["num_classes"], case[kind]
    batch = (np.array(case["true"]), make_logits(case["predicted"], size), weights_of(case, kind))
    assert measure(Accuracy(), *batch) == pytest.approx(wanted["accuracy"], abs=1e-6)
    assert measure(MatthewsCorrelation(size), *batch) == pytest.approx(wanted["matthews"], abs=1e-6)
    assert set(wanted["f1"]) == {str(name) for name in AVERAGES} | (
        {"binary"} if size == 2 else set()
    )
    for name, score in wanted["f1"].items():
        metric = F1(size, average=None if name == "None" else name)
        assert measure(metric, *batch) == pytest.approx(score, abs=1e-6), name


@pytest.mark.parametrize("kind", ["plain", "weighted"])
@pytest.mark.parametrize("index", range(2))
def test_many_labels_give_the_numbers_of_scikit_learn(golden, index, kind):
    case = golden["multi_label"][index]
    predicted = np.array(case["predicted"])
    logits = np.random.default_rng(0).uniform(0.01, 3, predicted.shape) * (2 * predicted - 1)
    batch = (np.array(case["true"]), logits, weights_of(case, kind))
    wanted = case[kind]
    assert measure(Accuracy(multi_label=True), *batch) == pytest.approx(
        wanted["accuracy"], abs=1e-6
    )
    for average in AVERAGES:
        metric = F1(case["num_classes"], average=average, multi_label=True)
        score = wanted["f1"][str(average)]
        assert measure(metric, *batch) == pytest.approx(score, abs=1e-6), average


def test_tokens_count_alike_in_batches_of_any_length(make_logits):
    generator = np.random.default_rng(1)
    metrics = [Accuracy(), F1(4), MatthewsCorrelation(4)]
    whole = [Accuracy(), F1(4), MatthewsCorrelation(4)]
    true, predicted = generator.integers(0, 4, (2, 40))
    for metric in whole:
        metric.update_state(true, make_logits(predicted, 4))
    for start, stop in ((0, 4), (4, 40)):
        rows = (true[start:stop].reshape(2, -1), predicted[start:stop].reshape(2, -1))
        for metric in metrics:
            metric.update_state(rows[0], make_logits(rows[1], 4))
    for one, other in zip(metrics, whole, strict=True):
        assert float(one.result()) == float(other.result())


def test_labels_may_come_as_a_column(make_logits):
    true, logits = np.array([0, 1, 2, 1]), make_logits([0, 1, 1, 1], 3)
    for make in (Accuracy, lambda: F1(3), lambda: MatthewsCorrelation(3)):
        weights = np.array([1, 1, 1, 0])
        wanted = measure(make(), true, logits, weights)
        assert measure(make(), true[:, None], logits, weights[:, None]) == wanted


def test_a_correlation_of_one_class_alone_is_zero(make_logits):
    metric = MatthewsCorrelation(3)
    assert measure(metric, np.array([1, 1, 1]), make_logits([0, 1, 2], 3)) == 0


@pytest.mark.parametrize("make", [F1, MatthewsCorrelation])
def test_too_few_classes_are_refused(make):
    with pytest.raises(ValueError, match="at least 2. Received: num_classes=1"):
        make(1)
    with pytest.raises(TypeError, match="num_classes=2.5"):
        make(2.5)


def test_averages_that_do_not_exist_or_fit_are_refused():
    with pytest.raises(ValueError, match="average='mean'"):
        F1(3, average="mean")
    with pytest.raises(ValueError, match="num_classes=3, multi_label=False"):
        F1(3, average="binary")
    with pytest.raises(ValueError, match="num_classes=2, multi_label=True"):
        F1(2, average="binary", multi_label=True)


@pytest.mark.parametrize("make", [F1, MatthewsCorrelation])
def test_logits_of_other_classes_are_refused(make):
    with pytest.raises(ValueError, match=r"each of 3 classes. Received: y_pred.shape=\(2, 4\)"):
        make(3).update_state(np.zeros(2, int), np.zeros((2, 4)))


@pytest.mark.parametrize("make", [Accuracy, lambda: F1(3), lambda: MatthewsCorrelation(3)])
def test_zeros_and_ones_for_labels_are_refused(make):
    with pytest.raises(ValueError, match=r"Received: y_true.shape=\(3, 3\), y_pred.shape=\(3, 3\)"):
        make().update_state(np.eye(3), np.eye(3))
