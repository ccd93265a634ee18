"""`lmzoo train`: its own checks, and what it prints of a run."""

import json

import pytest

from lmzoo.cli import main
from lmzoo.runs import plot
from lmzoo.runs.schema import describe_schema
from tests.cli.child import run_child
from tests.runs.tiny_recipe import write_recipe


@pytest.fixture
def recipe(tmp_path):
    return str(write_recipe(tmp_path, num_sentences=4))


def test_a_wrong_key_is_told_in_one_line_without_tensorflow(recipe):
    code, modules, child = run_child("train", recipe, "--set", "training.stepz=3")
    assert code == 2 and not {"tensorflow", "keras"} & modules
    assert child.stderr.count("\n") == 1
    assert "--set training.stepz" in child.stderr and "`training.steps`" in child.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`RECIPE` must be given"),
        (["missing.toml"], "missing.toml"),
        (["--workers", "0"], "Received: 0"),
        (["--workers", "2", "--dry-run"], "`--workers` must not be given with `--dry-run`"),
    ],
)
def test_wrong_use_is_told(arguments, message, recipe, capsys):
    arguments = [recipe, *arguments] if arguments[:1] == ["--workers"] else arguments
    assert main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_keys_are_printed(capsys):
    assert main(["train", "--keys"]) == 0
    assert capsys.readouterr().out.strip() == describe_schema()


def test_a_run_prints_its_report_and_a_check_prints_what_it_would_do(
    recipe, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(plot, "draw_report", lambda folder, report: False)
    assert main(["train", recipe, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 2 and found["task"] == "CausalLM"
    assert not (tmp_path / "run").exists()
    assert main(["train", recipe, "--set", "training.steps=3"]) == 0
    printed = capsys.readouterr()
    assert "tokens a second" in printed.out and "96" in printed.out
    assert "CausalLM on a GPTBackbone of " in printed.err
    assert "Training: step 3/3, loss " in printed.err
    assert (tmp_path / "run" / "model" / "config.json").exists()
