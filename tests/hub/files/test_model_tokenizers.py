"""The tokenizer of a folder is opened for the model that its config describes."""

import types

import pytest

from lmzoo.hub.files.tokenizers import open_tokenizer
from lmzoo.tokenizers import WordPieceTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]


def plan_for(vocabulary_size):
    return types.SimpleNamespace(task="MaskedLM", arguments={"vocabulary_size": vocabulary_size})


def test_a_folder_without_one_has_none(tmp_path):
    assert open_tokenizer(tmp_path, plan_for(7)) is None


def test_its_words_are_no_more_than_the_model_s(tmp_path):
    WordPieceTokenizer(WORDS).save(tmp_path)
    assert open_tokenizer(tmp_path, plan_for(7)).vocabulary_size == 7
    with pytest.raises(ValueError, match="must not have more words .* 7 words .* says 6"):
        open_tokenizer(tmp_path, plan_for(6))


def test_far_too_large_files_are_refused_before_they_are_read(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(b"[" * 70_000)
    with pytest.raises(ValueError, match="lists, objects and commas for the 7 words"):
        open_tokenizer(tmp_path, plan_for(7))
