"""The page for users of transformers and KerasHub: what it says of lmzoo is run as it stands."""

import json
import pathlib
import re

import numpy as np
import pytest

import lmzoo
from tests.tasks.small_encoders import draw_weights, make_encoder, word_pieces
from tests.tasks.tiny_t5 import make_lm, make_tokenizer

PAGE = pathlib.Path(__file__).parents[2] / "examples" / "coming_from_transformers_or_keras_hub.md"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Tiny models in the working directory, under the names that the page uses."""
    special = ["<|endoftext|>"]
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(
        iter(["a cat sat on a mat, a hat"] * 9), 280, special_tokens=special
    )
    backbone = lmzoo.models.GPTBackbone(tokenizer.vocabulary_size, 1, 2, 16, max_sequence_length=32)
    lmzoo.tasks.CausalLM(draw_weights(backbone), tokenizer).save_pretrained(tmp_path / "gpt2")
    encoder = lmzoo.tasks.MaskedLM(make_encoder(), word_pieces())
    encoder.save_pretrained(tmp_path / "bert-base-uncased")
    make_lm(make_tokenizer()).save_pretrained(tmp_path / "t5-small")
    monkeypatch.chdir(tmp_path)


# Each graph would be traced for one or two calls.
@pytest.mark.parametrize("graphs", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*head:UserWarning", "ignore:.*fresh:UserWarning")
def test_every_block_of_lmzoo_runs_in_order(folders, graphs, request):
    if not graphs:
        request.getfixturevalue("eagerly")
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 15
    names = {}
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        # Errors name the line of the page.
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)
    assert np.isfinite(names["vectors"]).all() and len(names["words"]) == 3
    json.dumps([names["many"], names["answers"], names["scores"]], default=float)


def test_the_page_has_two_hundred_lines_and_no_line_that_is_too_long():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert 180 <= len(lines) <= 300
    assert max(map(len, lines)) <= 130
