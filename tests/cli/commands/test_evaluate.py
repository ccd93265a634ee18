"""lmzoo evaluate, as it is typed."""

import functools
import json

import numpy as np
import pytest

import lmzoo
from lmzoo.cli import main
from lmzoo.cli.commands import evaluate
from tests.cli.child import run_child
from tests.evaluation.tiny import CODE, make_lm
from tests.tasks.small_encoders import NAMES, TEXTS, make_encoder, word_pieces

RESAMPLES = ("--resamples", "10")


@pytest.fixture(scope="module")
def tasks():
    labels = {"labels": ["bad", "good"]}
    return {
        "classifier": lmzoo.tasks.TextClassifier(make_encoder(), word_pieces(), **labels),
        "other": lmzoo.tasks.TextClassifier(make_encoder(seed=3), word_pieces(), **labels),
        "lm": make_lm(),
    }


@pytest.fixture
def run(tasks, monkeypatch, run_command, tmp_path):
    """Runs the command over open tasks and gives what it printed."""
    monkeypatch.setattr(evaluate, "open_task", lambda arguments: tasks[arguments.source])
    monkeypatch.chdir(tmp_path)
    lines = [f"{text},{name}" for text, name in zip(TEXTS, NAMES, strict=True)]
    (tmp_path / "test.csv").write_text("\n".join(["text,label", *lines]))
    (tmp_path / "book.txt").write_text(CODE)

    return functools.partial(run_command, "evaluate")


def test_it_prints_what_the_library_gives(run, tasks):
    metrics = ("--metrics", "accuracy, macro_f1")
    report = run("classifier", "test.csv", *metrics, *RESAMPLES, "--json")
    rows = {"text": TEXTS, "label": NAMES}
    wanted = lmzoo.evaluate(tasks["classifier"], rows, "accuracy,macro_f1", num_resamples=10)
    assert report["model"] == "classifier"
    for name, score in wanted.scores.items():
        assert report["scores"][name]["value"] == score.value
        assert report["scores"][name]["low"] == score.low
    table = run("classifier", "test.csv", *metrics, *RESAMPLES)
    assert table.startswith("classifier") and "accuracy" in table


def test_models_and_baselines_stand_side_by_side(run, tmp_path):
    arguments = ("test.csv", "--compare", "other", "--baselines", "--train", "test.csv")
    options = ("--metrics", "accuracy", "--output", "out")
    report = run("classifier", *arguments, *RESAMPLES, *options, "--json")
    names = [one["model"] for one in report["evaluations"]]
    assert names == ["classifier", "other", "TfidfClassifier"]
    values = [one["scores"]["accuracy"]["value"] for one in report["evaluations"]]
    differences = [one["accuracy"]["value"] for one in report["differences"]]
    np.testing.assert_allclose(differences, values[0] - np.array(values[1:]))
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["true_label"] for line in lines] == NAMES
    assert "out" in run("classifier", *arguments, *options, code=2)


def test_a_language_model_is_scored_beside_counts(run):
    arguments = ("lm", "book.txt", "--baselines", "--train", "book.txt", "--stride", "8")
    table = run(*arguments, "--metrics", "bits_per_byte", *RESAMPLES)
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["KneserNeyLM", "LSTMLM"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("classifier", "none.csv"), "`DATA` must exist. Received: 'none.csv'"),
        (("classifier", "test.csv", "--metrics", "bleu"), "accuracy, macro_f1, micro_f1"),
        (("classifier", "test.csv", "--baselines"), "`train` must be given to fit Tfidf"),
        (("classifier", "test.csv", "--train", "no"), "`--train` must exist. Received: 'no'"),
        (("classifier", "test.csv", "--top-k", "3"), "--top-k for a TextClassifier"),
        (("classifier", "book.txt"), "book.txt"),
        (("lm", "book.txt", "--references", "test.csv"), "9 references, 4 rows"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(run, arguments, message):
    error = run(*arguments, *RESAMPLES, code=2)
    assert message in error
    assert error.count("\n") == 1


def test_a_model_that_is_not_there_is_answered_without_tensorflow(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    code, modules, child = run_child("evaluate", tmp_path / "none", tmp_path / "a.csv")
    assert code == 2
    assert "none" in child.stderr
    assert "tensorflow" not in modules


def test_help_needs_no_tensorflow():
    code, modules, child = run_child("evaluate", "--help")
    assert code == 0
    assert not {"tensorflow", "keras", "lmzoo.evaluation"} & modules
    assert "--baselines" in child.stdout


def test_columns_are_pairs(run, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "classifier", "test.csv", "--columns", "text"])
    assert "NAME=COLUMN" in capsys.readouterr().err
