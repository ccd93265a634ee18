"""Each kind of task on rows and on files, with the numbers that its own methods give."""

import json

import numpy as np
import pytest
import sklearn.metrics

import lmzoo
from lmzoo import metrics
from lmzoo.evaluation import evaluate
from tests.tasks.small_encoders import NAMES, TEXTS, make_encoder, word_pieces

QUICK = {"num_resamples": 20}


@pytest.fixture(scope="module")
def classifier():
    return lmzoo.tasks.TextClassifier(make_encoder(), word_pieces(), labels=["bad", "good"])


@pytest.fixture(scope="module")
def embedder():
    return lmzoo.tasks.TextEmbedder(make_encoder(), word_pieces())


def get_values(evaluation):
    return {name: score.value for name, score in evaluation.scores.items()}


def test_a_classifier_scores_as_scikit_learn_scores_its_labels(classifier, tmp_path):
    path = tmp_path / "test.csv"
    lines = [f"{text},{name}" for text, name in zip(TEXTS, NAMES, strict=True)]
    path.write_text("\n".join(["review,label", *lines]))
    found = evaluate(classifier, path, columns={"text": "review"}, **QUICK)
    predicted = [row["label"] for row in classifier.classify(TEXTS)]
    values = get_values(found)
    assert list(values) == ["accuracy", "macro_f1", "calibration_error"]
    assert values["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(NAMES, predicted))
    macro = sklearn.metrics.f1_score(NAMES, predicted, average="macro")
    assert values["macro_f1"] == pytest.approx(macro)
    assert found.confusion.tolist() == sklearn.metrics.confusion_matrix(NAMES, predicted).tolist()
    score = found.scores["accuracy"]
    assert score.low <= score.value <= score.high
    assert (score.num_rows, score.unit, score.higher_is_better) == (8, "rows", True)


def test_a_report_is_a_table_and_json(classifier, tmp_path):
    rows = {"text": TEXTS, "label": NAMES}
    found = evaluate(classifier, rows, ["accuracy", "calibration_error"], name="mine", **QUICK)
    header, first, _ = str(found).split("\n")
    assert header.split() == ["mine", "value", "95%", "interval", "of"]
    assert first.split()[0] == "accuracy" and first.endswith("8 rows")
    found.to_json(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["scores"]["accuracy"]["value"] == found.scores["accuracy"].value
    assert report["num_resamples"] == 20
    assert "accuracy=" in repr(found)


def test_the_same_seed_gives_the_same_intervals(classifier):
    rows = {"text": TEXTS, "label": NAMES}
    first, same = (evaluate(classifier, rows, "accuracy", seed=1, **QUICK) for _ in range(2))
    assert first.scores == same.scores


def test_pictures_are_drawn(classifier, tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    found = evaluate(classifier, {"text": TEXTS, "label": NAMES}, "accuracy", **QUICK)
    for draw in (found.draw_confusion_matrix, found.draw_reliability_diagram):
        draw(tmp_path / "picture.png")
        content = (tmp_path / "picture.png").read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) > 5000


def test_pictures_without_matplotlib_name_the_extra(classifier, monkeypatch, tmp_path):
    found = evaluate(classifier, {"text": TEXTS, "label": NAMES}, "accuracy", **QUICK)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"lmzoo\[report\]"):
        found.draw_confusion_matrix(tmp_path / "picture.png")


def test_sets_of_classes_are_scored(tmp_path):
    task = lmzoo.tasks.TextClassifier(
        make_encoder(), word_pieces(), labels=["good", "cat", "dog"], multi_label=True
    )
    sets = [[word for word in ("good", "cat", "dog") if word in text] for text in TEXTS]
    path = tmp_path / "test.jsonl"
    rows = [{"text": text, "label": names} for text, names in zip(TEXTS, sets, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    values = get_values(evaluate(task, path, **QUICK))
    names = ["good", "cat", "dog"]
    true = [[name in one for name in names] for one in sets]
    found = [{row["label"] for row in one} for one in task.classify(TEXTS)]
    predicted = [[name in one for name in names] for one in found]
    assert values["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(true, predicted))
    micro = sklearn.metrics.f1_score(true, predicted, average="micro", zero_division=0)
    assert values["micro_f1"] == pytest.approx(micro)


@pytest.mark.parametrize("num_targets", [1, 2])
def test_numbers_are_scored(num_targets):
    task = lmzoo.tasks.TextRegressor(make_encoder(), word_pieces(), num_targets=num_targets)
    labels = np.random.default_rng(0).normal(size=(8, num_targets))
    labels = labels[:, 0] if num_targets == 1 else labels
    found = evaluate(task, {"text": TEXTS, "label": labels.tolist()}, **QUICK)
    errors = np.abs(task.score(TEXTS) - labels)
    values = get_values(found)
    assert values["mean_absolute_error"] == pytest.approx(errors.mean(), abs=1e-6)
    assert ("spearman" in values) == (num_targets == 1)


def test_spans_and_tags_are_scored_over_words(tmp_path):
    words, tags = [["the", "cat", "sat"], ["dog"]], [["O", "B-PET", "O"], ["B-PET"]]
    path = tmp_path / "test.conll"
    path.write_text("the O\ncat B-PET\nsat O\n\ndog B-PET\n")
    task = lmzoo.tasks.TokenClassifier(make_encoder(), word_pieces(), ["O", "B-PET", "I-PET"])
    values = get_values(evaluate(task, path, **QUICK))
    predicted = task.tag(words)
    wanted = metrics.span_scores(tags, predicted)
    assert values["span_f1"] == pytest.approx(wanted["f1"])
    assert values["span_recall"] == pytest.approx(wanted["recall"])
    pairs = zip(sum(tags, []), sum(predicted, []), strict=True)
    right = sum(a == b for a, b in pairs)
    assert values["accuracy"] == right / 4
    plain = lmzoo.tasks.TokenClassifier(make_encoder(), word_pieces(), ["DET", "NOUN", "VERB"])
    rows = {"words": words, "tags": [["DET", "NOUN", "VERB"], ["NOUN"]]}
    assert list(evaluate(plain, rows, **QUICK).scores) == ["accuracy"]


def test_answers_score_as_in_squad():
    task = lmzoo.tasks.QuestionAnswerer(make_encoder(), word_pieces(), sequence_length=32)
    questions, contexts = ["what sat", "what ran"], ["the cat sat on a mat", "the dog ran"]
    answers = [["cat", "the cat"], ["dog"]]
    rows = {
        **{"question": questions, "context": contexts, "answers": answers},
        "answer_starts": [[4, 0], [4]],
    }
    values = get_values(evaluate(task, rows, **QUICK))
    found = [answer["answer"] for answer in task.answer(questions, contexts)]
    wanted = metrics.squad_scores(found, answers, version="1.1")
    assert values["exact_match"] == wanted["exact"]
    assert values["squad_f1"] == pytest.approx(wanted["f1"])


def test_an_embedder_is_scored_by_the_ranks_of_pairs(embedder):
    pairs = [text.replace("film", "dog") for text in TEXTS]
    names = ["mrr", "recall@1", "recall@3"]
    found = evaluate(embedder, {"text": TEXTS, "pair": pairs}, names, **QUICK)
    candidates = list(dict.fromkeys(pairs))
    scores = embedder.embed(TEXTS) @ embedder.embed(candidates).T
    ranks = []
    for row, pair in zip(scores, pairs, strict=True):
        own = row[candidates.index(pair)]
        ranks.append(sum(score >= own for score in row))
    values = get_values(found)
    assert values["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert values["recall@3"] == np.mean([rank <= 3 for rank in ranks])
    assert found.scores["mrr"].unit == "queries"


def test_similarities_are_cosines_ranked_beside_the_labels(embedder, tmp_path):
    path = tmp_path / "test.tsv"
    lines = [f"{text}\t{TEXTS[-index]}\t{index / 10}" for index, text in enumerate(TEXTS)]
    path.write_text("\n".join(["text\tpair\tlabel", *lines]))
    found = evaluate(embedder, path, **QUICK)
    assert list(found.scores) == ["spearman", "pearson"]
    one, other = embedder.embed(TEXTS), embedder.embed([TEXTS[-i] for i in range(8)])
    cosines = np.sum(one * other, axis=1)
    wanted = np.corrcoef(cosines, np.arange(8) / 10)[0, 1]
    assert get_values(found)["pearson"] == pytest.approx(wanted, abs=1e-5)


def test_masked_tokens_have_a_perplexity_and_an_accuracy(tmp_path):
    task = lmzoo.tasks.MaskedLM(make_encoder(), word_pieces(), mask_rate=0.3)
    path = tmp_path / "test.txt"
    path.write_text("\n\n".join(TEXTS))
    found = evaluate(task, path, **QUICK)
    assert found.scores["accuracy"].num_rows == 8
    task.compile()
    inputs, labels, weights = task.preprocess(TEXTS)
    losses = task.loss(labels, task(inputs), weights)
    assert get_values(found)["perplexity"] == pytest.approx(float(np.exp(losses)), rel=1e-4)


def test_an_unknown_metric_is_answered_with_those_that_fit(classifier, embedder):
    rows = {"text": TEXTS, "label": NAMES}
    with pytest.raises(ValueError, match=r"accuracy, macro_f1.*'acuracy', which is none. Did you"):
        evaluate(classifier, rows, ["acuracy"])
    with pytest.raises(ValueError, match=r"Received: 'bleu', which they have no outputs for"):
        evaluate(classifier, rows, "accuracy,bleu")
    with pytest.raises(ValueError, match=r"mrr, recall@K\. Received: 'recall@0'"):
        evaluate(embedder, {"text": TEXTS, "pair": TEXTS}, "recall@0")
    for metrics_ in ([], 3):
        with pytest.raises(TypeError, match=f"metrics={metrics_!r}".replace("[", r"\[")):
            evaluate(classifier, rows, metrics_)
    with pytest.raises(TypeError, match="Received: 3 in it"):
        evaluate(classifier, rows, [3])


def test_a_folder_for_each_label_is_read(classifier, embedder, tmp_path):
    for label, text in (("bad", "a bad film"), ("good", "a good film")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.txt").write_text(text)
    found = evaluate(classifier, str(tmp_path), "accuracy", **QUICK)
    assert found.scores["accuracy"].num_rows == 2
    with pytest.raises(IsADirectoryError, match="not folders"):
        evaluate(embedder, tmp_path)


def test_what_is_no_task_is_refused(classifier):
    zero_shot = lmzoo.tasks.ZeroShotClassifier(
        lmzoo.tasks.TextClassifier(
            make_encoder(), word_pieces(), labels=["entailment", "contradiction"]
        )
    )
    for task in (zero_shot, "bert"):
        with pytest.raises(TypeError, match=f"Received: a {type(task).__name__}"):
            evaluate(task, {"text": ["a"]})


def test_data_that_does_not_fit_is_refused(classifier, tmp_path):
    with pytest.raises(ValueError, match="text, label for this model. Received: text"):
        evaluate(classifier, {"text": TEXTS})
    with pytest.raises(ValueError, match="at least one row"):
        evaluate(classifier, {"text": [], "label": []})
    with pytest.raises(FileNotFoundError, match="none.csv"):
        evaluate(classifier, tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="empty.csv"):
        evaluate(classifier, tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("text,label\n")
    with pytest.raises(ValueError, match="head.csv"):
        evaluate(classifier, tmp_path / "head.csv")
    with pytest.raises(TypeError, match="a list of str that are no files, such as 'a good film'"):
        evaluate(classifier, TEXTS)
    with pytest.raises(TypeError, match="Received: a int"):
        evaluate(classifier, 3)
    with pytest.raises(ValueError, match="must be one of 'bad', 'good' or its number.*'ugly'"):
        evaluate(classifier, {"text": ["a"], "label": ["ugly"]})
    with pytest.raises(TypeError, match="columns='text'"):
        evaluate(classifier, tmp_path / "head.csv", columns="text")
    (tmp_path / "one.csv").write_text("text,label\na,good\n")
    with pytest.raises(ValueError, match="out of text, label, pair. Received: sentence"):
        evaluate(classifier, tmp_path / "one.csv", columns={"sentence": "text"})
    with pytest.raises(TypeError, match="no argument `resamples`"):
        evaluate(classifier, {"text": TEXTS, "label": NAMES}, resamples=3)
