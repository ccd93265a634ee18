"""The examples in the docstrings of the readers run and say what is written there."""

import doctest
import importlib

import pytest

import lmzoo

MODULES = ["conll", "delimited", "folders", "glue", "in_memory", "rows", "squad", "tables"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_reader_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"lmzoo.data.rows.{name}")
    results = doctest.testmod(module, extraglobs={"lmzoo": lmzoo})
    assert results.attempted
    assert not results.failed
