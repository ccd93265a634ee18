"""lmzoo explain, as it is typed."""

import io
import json
import sys

import pytest

import lmzoo
from lmzoo.cli import main
from lmzoo.cli.commands import explain
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer

TEXT = "Ada wrote to nobody."


@pytest.fixture(scope="module")
def classifier():
    tokenizer = train_tokenizer("word_piece")
    task = lmzoo.tasks.TextClassifier(make_backbone(tokenizer), tokenizer, labels=["bad", "good"])
    return randomise(task)


@pytest.fixture
def run(classifier, monkeypatch, capsys):
    """Runs the command over the open task and gives what it printed."""

    def run(*arguments, code=0):
        monkeypatch.setattr(explain, "open_task", lambda *_, **__: classifier)
        assert main(["explain", "source", *arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return run


def test_each_word_is_printed_with_its_value(run, classifier):
    found = lmzoo.explain.attribution(classifier, TEXT, "bad")
    head, *lines = run(TEXT, "--label", "bad").splitlines()
    assert head.startswith(f"bad: score {found.score:.3f}, baseline (mask) ")
    assert [line.split()[:2] for line in lines] == [
        [word.text, f"{word.value:+.3f}"] for word in found.words
    ]
    assert max(line.count("█") + line.count("▒") for line in lines) == 24
    printed = json.loads(run(TEXT, "--label", "bad", "--json", "--attribution"))
    assert [word["text"] for word in printed["words"]] == [word.text for word in found.words]


def test_each_token_is_printed_with_where_it_looks(run, classifier):
    found = lmzoo.explain.attention(classifier, TEXT)
    lines = run(TEXT, "--attention", "--layer", "0", "--head", "1").splitlines()
    assert len(lines) == len(found.tokens)
    weights = found.average(layer=0, head=1)
    best = weights[1].argmax()
    assert f"| {found.tokens[best].text} {weights[1, best]:.0%}" in lines[1]
    printed = json.loads(run(TEXT, "--attention", "--view", "rollout", "--json"))
    assert printed["weights"][0] == pytest.approx(found.rollout()[0].tolist(), abs=1e-5)


def test_standard_input_is_a_text(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{TEXT}\n".encode())))
    assert "nobody" in run("-")


def test_a_page_is_written(run, tmp_path):
    for options in ((), ("--attention", "--layer", "-1")):
        assert run(TEXT, *options, "-o", str(tmp_path / "a.html")) == ""
        assert "wrote" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TEXT, "--layer", "1"), "`--layer` must not be given without `--attention`"),
        ((TEXT, "--attention", "--steps", "9"), "must not be given with `--attention`"),
        ((TEXT, "-o", "why.gif"), "Received: 'why.gif'"),
        ((TEXT, "-o", "nowhere/why.png"), "Received: nowhere/why.png"),
        ((TEXT, "--label", "fine"), "Received: 'fine'"),
        ((TEXT, "--attention", "--layer", "7"), "Received: layer=7"),
        (("", "--attention"), "`text` must not be empty"),
    ],
)
def test_a_bad_request_is_refused_in_a_line(run, arguments, words):
    error = run(*arguments, code=2)
    assert words in error and error.count("\n") == 1
