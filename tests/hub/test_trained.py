"""The trained models that come with lmzoo: found by name, beside the package or inside it."""

import json
import pathlib

import pytest

from lmzoo import zoo
from lmzoo.hub import find_folder, trained

SCORE = {"metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6}
FIGURES = {"task": "TextClassifier", "title": "Names colours", "num_parameters": 12}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the model `colours`, the only one there is, beside what was exported."""
    package = tmp_path / "lmzoo"
    package.mkdir()
    monkeypatch.setattr(trained, "_PACKAGE", package)
    for name in ("colours", "demo", "colours/1"):
        (tmp_path / "saved_models" / name).mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "saved_models" / "colours"
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "1" / "saved_model.pb").write_bytes(b"x" * 1000)
    figures = {**FIGURES, "license": "mit", "score": SCORE}
    (folder / "figures.json").write_text(json.dumps(figures))
    return folder


def test_a_model_that_comes_with_lmzoo_opens_by_its_name(folder, monkeypatch, tmp_path):
    assert find_folder("colours") == folder
    entry = zoo.find_entry("colours")
    assert (entry.source, entry.task, entry.score) == (str(folder), "TextClassifier", SCORE)
    assert entry.num_bytes == sum(
        (folder / name).stat().st_size
        for name in ("config.json", "figures.json", "1/saved_model.pb")
    )
    # The folder of the user goes before it.
    (tmp_path / "own" / "colours").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "own")
    assert find_folder("colours") == pathlib.Path("colours")


def test_what_is_installed_goes_before_what_lies_beside_the_package(folder, tmp_path):
    folder.parent.rename(tmp_path / "lmzoo" / "saved_models")
    assert find_folder("colours") == tmp_path / "lmzoo" / "saved_models" / "colours"


def test_a_published_name_keeps_its_meaning(folder):
    folder.rename(folder.parent / "gpt2")
    assert zoo.find_entry("gpt2").source.startswith("hf://")
    assert zoo.names().count("gpt2") == 1


@pytest.mark.parametrize("name", ["demo", "../saved_models/colours", "", ".", "colours/1"])
def test_nothing_but_the_name_of_a_trained_model_is_one(folder, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert trained.find_trained(name) is None


def test_names_of_trained_models_are_suggested(folder):
    with pytest.raises(FileNotFoundError, match="such as .'colours'.*Received: source='colour'"):
        find_folder("colour")
    with pytest.raises(ValueError, match="revision='main'"):
        # It comes with this version of lmzoo, so it has no history.
        find_folder("colours", revision="main")
