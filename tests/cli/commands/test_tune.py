"""`lmzoo tune`: its own checks, and what it prints of a search."""

import json

import pytest

from lmzoo.cli import main
from lmzoo.runs.schema import describe_schema
from lmzoo.tuning.schema import TUNING_SCHEMA
from tests.cli.child import run_child
from tests.tuning.tiny_search import write_recipe

HEAVY = {"tensorflow", "keras", "keras_tuner"}


@pytest.fixture
def recipe(tmp_path):
    return str(write_recipe(tmp_path))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--help"], 0, ""),
        (["RECIPE", "--dry-run"], 0, ""),
        (["RECIPE", "--set", "search.max_trails=3"], 2, "`search.max_trials`"),
        (["RECIPE", "--set", "space.hidden_dim=[]"], 2, "`hidden_dim` must have at least one"),
    ],
)
def test_what_needs_no_tensorflow_does_not_import_it(recipe, options, code, words):
    options = [recipe if option == "RECIPE" else option for option in options]
    found, modules, child = run_child("tune", *options)
    assert found == code and not HEAVY & modules, child.stderr
    assert words in child.stderr and child.stderr.count("\n") == (1 if code else 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`RECIPE` must be given"),
        (["missing.toml"], "missing.toml"),
        (["RECIPE", "--workers", "0"], "Received: 0"),
        (["RECIPE", "--workers", "2", "--dry-run"], "`--workers` must not be given with"),
    ],
)
def test_wrong_use_is_told(arguments, message, recipe, capsys):
    arguments = [recipe if each == "RECIPE" else each for each in arguments]
    assert main(["tune", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_local_workers_are_not_started_by_a_worker(recipe, capsys, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    assert main(["tune", recipe, "--workers", "2"]) == 2
    assert "KERASTUNER_ORACLE_IP must not be set" in capsys.readouterr().err


def test_the_keys_and_the_space_are_printed(recipe, capsys):
    assert main(["tune", "--keys"]) == 0
    assert capsys.readouterr().out.strip() == describe_schema(TUNING_SCHEMA)
    assert main(["tune", recipe, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hidden_dim"] == "8, 16" and found["max_trials"] == 2
