"""The TF-IDF baseline beside scikit-learn's own pipeline."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import lmzoo
from lmzoo.evaluation.baselines import BM25, TfidfClassifier, evaluate_baselines
from tests.tasks.small_encoders import NAMES, TEXTS, make_encoder, word_pieces

ROWS = lmzoo.data.make_rows(text=TEXTS, label=NAMES)


def test_probabilities_are_those_of_the_pipeline():
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000)
    ).fit(TEXTS, NAMES)
    texts = ["a good dog", "", "bad bad"]
    found = TfidfClassifier(["bad", "good"]).fit(ROWS).classify(texts)
    for row, wanted in zip(found, pipeline.predict_proba(texts), strict=True):
        scores = {one["label"]: one["score"] for one in row}
        np.testing.assert_allclose([scores["bad"], scores["good"]], wanted, atol=1e-9)


def test_sets_of_classes_have_a_model_for_each():
    rows = lmzoo.data.make_rows(
        text=TEXTS, label=[[word for word in ("cat", "film") if word in text] for text in TEXTS]
    )
    baseline = TfidfClassifier(["cat", "film", "dog"], multi_label=True).fit(rows)
    evaluation = lmzoo.evaluate(baseline, rows, num_resamples=10)
    assert evaluation.scores["micro_f1"].value > 0.6
    # No text has it.
    assert all(row["label"] != "dog" for row in baseline.classify(["dog"])[0])


def test_pairs_and_classes_that_were_never_seen():
    rows = lmzoo.data.make_rows(text=TEXTS, pair=TEXTS[::-1], label=["b"] * 4 + ["c"] * 4)
    baseline = TfidfClassifier(["a", "b", "c"]).fit(rows)
    (found,) = baseline.classify(["a good film"], ["a bad dog"])
    assert [one["label"] for one in found] == ["b", "c", "a"]
    assert found[-1]["score"] == 0.0
    with pytest.raises(ValueError, match="'ugly'"):
        baseline.fit(lmzoo.data.make_rows(text=["a"], label=["ugly"]))


def test_it_stands_beside_a_classifier():
    task = lmzoo.tasks.TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])
    (found,) = evaluate_baselines(task, ROWS, ["accuracy", "macro_f1"], ROWS, num_resamples=10)
    assert (found.name, found.scores["accuracy"].value) == ("TfidfClassifier", 1.0)


def test_bm25_stands_beside_an_embedder_and_learns_nothing():
    task = lmzoo.tasks.TextEmbedder(make_encoder(), word_pieces())
    rows = {"text": ["which film", "what dog"], "pair": ["a film", "the dog"]}
    (found,) = evaluate_baselines(task, rows, ["mrr"], num_resamples=10)
    assert (found.name, found.scores["mrr"].value) == (BM25.__name__, 1.0)


def test_scikit_learn_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r"lmzoo\[baselines\]"):
        TfidfClassifier(["bad", "good"])
