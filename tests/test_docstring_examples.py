"""The examples in the docstrings run and say what is written there."""

import doctest
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# The rooms whose examples need no file and no tokenizer.
ROOMS = ("metrics", "layers", "models", "evaluation")
MODULES = [path for room in ROOMS for path in sorted((ROOT / "lmzoo" / room).rglob("*.py"))]
PATHS = [path for path in MODULES if ">>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_examples_of_a_module_run(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed
