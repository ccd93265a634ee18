"""Two models on the same rows."""

import numpy as np
import pytest
import scipy.stats

import lmzoo
from lmzoo.evaluation import compare
from lmzoo.evaluation.resampling import Jackknife

LABELS = ["bad", "good"]


class Guesser:
    """A classifier that is right where it is told to be."""

    prediction_kind = "classes"

    def __init__(self, is_right):
        self.labels = lmzoo.tasks.discriminative.labels.LabelSet(labels=LABELS)
        self.is_right = is_right

    def label_rows(self, rows):
        return rows.with_column("label", lambda row: self.labels.to_id(row["label"]))

    def classify(self, texts, pairs=None, top_k=None, batch_size=None):
        return [
            [{"label": LABELS[(index % 2) ^ (not right)], "score": 0.75}]
            for index, right in enumerate(self.is_right)
        ]


def make_rows(size):
    texts = [f"text {index}" for index in range(size)]
    return {"text": texts, "label": [LABELS[index % 2] for index in range(size)]}


def evaluate(is_right, name="a", **options):
    rows = make_rows(len(is_right))
    return lmzoo.evaluate(Guesser(is_right), rows, "accuracy,macro_f1", name=name, **options)


def test_the_paired_test_agrees_with_the_sign_test():
    generator = np.random.default_rng(0)
    one = generator.random(300) < 0.8
    other = np.where(generator.random(300) < 0.15, generator.random(300) < 0.5, one)
    found = compare(evaluate(one), evaluate(other, "b")).differences[0]["accuracy"]
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert found.low < found.value < found.high
    wins, losses = np.sum(one & ~other), np.sum(other & ~one)
    exact = scipy.stats.binomtest(int(wins), int(wins + losses)).pvalue
    # One is exact and discrete, the other of 1000 draws.
    assert found.p_value == pytest.approx(exact, abs=0.05)


def test_pairing_sees_what_the_intervals_alone_do_not():
    one = np.arange(200) % 5 > 0
    other = one & (np.arange(200) % 23 > 0)
    first, second = evaluate(one), evaluate(other, "b")
    assert first.scores["accuracy"].low < second.scores["accuracy"].high
    assert compare(first, second).differences[0]["accuracy"].p_value < 0.05


def test_a_model_does_not_differ_from_itself():
    found = compare(evaluate([True, False] * 5), evaluate([True, False] * 5))
    assert found.differences[0]["macro_f1"] == (0.0, 0.0, 0.0, 1.0)


def test_a_table_and_a_dict_show_all_models():
    found = compare(evaluate([True, False] * 5, "A"), evaluate([True] * 10, "B"))
    lines = str(found).split("\n")
    assert lines[0].split() == ["metric", "model", "value", "95%", "interval", "difference", "p"]
    assert lines[1].split()[:3] == ["accuracy", "A", "0.5000"]
    assert lines[2].split()[:2] == ["B", "1.0000"]
    assert "-0.5000" in lines[2]
    report = found.to_dict()
    assert [one["model"] for one in report["evaluations"]] == ["A", "B"]
    assert report["differences"][0]["accuracy"]["value"] == -0.5


def test_evaluations_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="a and b, whose data differ"):
        compare(evaluate([True] * 4), evaluate([True] * 5, "b"))
    other = lmzoo.evaluate(Guesser([True] * 4), make_rows(4), "calibration_error", name="b")
    with pytest.raises(ValueError, match="b with calibration_error"):
        compare(evaluate([True] * 4), other)


def test_one_row_has_no_interval_and_no_test():
    found = compare(evaluate([True]), evaluate([False], "b"))
    assert found.differences[0]["accuracy"] == (1.0, None, None, None)
    assert " - " in str(found)


def test_the_jackknife_of_a_mean_is_its_standard_error_and_students_interval():
    values = np.random.default_rng(1).normal(size=40)

    def mean(weights):
        return weights @ values / weights.sum()

    found = Jackknife(mean, 40, 40, seed=0)
    assert found.standard_error == pytest.approx(scipy.stats.sem(values), abs=1e-12)
    interval = scipy.stats.t.interval(0.95, 39, values.mean(), scipy.stats.sem(values))
    assert found.find_interval(values.mean(), 0.95) == pytest.approx(interval, abs=1e-3)
    z = values.mean() / scipy.stats.sem(values)
    assert found.find_p_value(values.mean()) == pytest.approx(2 * scipy.stats.norm.sf(abs(z)))
    assert found.find_interval(0.0, 0.95, (0.0, 0.1)) == (0.0, 0.1)
    constant = Jackknife(lambda weights: 1.0, 40, 5, seed=0)
    assert (constant.find_p_value(0.0), constant.find_p_value(1.0)) == (1.0, 0.0)
