"""The examples in the docstrings of the data room run and say what is written there."""

import doctest
import importlib
import pathlib

import pytest

import lmzoo
from tests.data.byte_tokenizer import ByteTokenizer
from tests.data.sentinel_tokenizer import SentinelTokenizer
from tests.data.small_tokenizers import make_word_piece

ROOT = pathlib.Path(__file__).parents[2]
PATHS = [
    path
    for path in sorted((ROOT / "lmzoo" / "data").rglob("*.py"))
    if ">>> " in path.read_text("utf-8")
]
TOKENIZERS = {
    "causal_lm": ByteTokenizer,
    "masked_lm": make_word_piece,
    "span_corruption": SentinelTokenizer,
    "prefix_lm": SentinelTokenizer,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_examples_of_a_module_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("a.txt").write_text("w1 w2 w3 " * 100)
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = {"lmzoo": lmzoo}
    if path.stem in TOKENIZERS:
        names["tokenizer"] = TOKENIZERS[path.stem]()
    results = doctest.testmod(module, extraglobs=names)
    assert results.attempted
    assert not results.failed
