import json

import pytest

from lmzoo.hub.tokenizer_files import load_tokenizer
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

TEXTS = ["a cat sat on the mat", "that hat"] * 9


@pytest.fixture(
    scope="module", params=[BytePairTokenizer, WordPieceTokenizer, SentencePieceTokenizer]
)
def tokenizer(request):
    if request.param is SentencePieceTokenizer:
        return SentencePieceTokenizer.train(iter(TEXTS), 40, num_sentinels=5)
    return request.param.train(iter(TEXTS), 262 if request.param is BytePairTokenizer else 60)


def test_the_kind_is_found_in_a_folder(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path, 999)
    assert type(loaded) is type(tokenizer)
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    # An old folder has no tokenizer.json.
    (tmp_path / "tokenizer.json").unlink()
    assert type(load_tokenizer(tmp_path, 999)) is type(tokenizer)


def test_an_old_file_without_a_type_is_bpe(tmp_path):
    BytePairTokenizer.train(iter(TEXTS), 262).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    del content["model"]["type"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert type(load_tokenizer(tmp_path, 999)) is BytePairTokenizer


def test_a_folder_without_one_has_none(tmp_path):
    assert load_tokenizer(tmp_path, 999) is None


def test_more_words_than_the_model_has_are_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    count = tokenizer.vocabulary_size
    with pytest.raises(ValueError, match=f"Received: {count} words in .*says {count - 1}"):
        load_tokenizer(tmp_path, count - 1)


@pytest.mark.parametrize("model", [{"type": "WordLevel"}, {"type": ["BPE"]}, {"type": 3}])
def test_a_kind_that_is_not_read_is_refused(model, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ValueError) as caught:
        load_tokenizer(tmp_path, 999)
    assert "must hold a model of type BPE or WordPiece or Unigram" in str(caught.value)
    assert f"with {model['type']!r}." in str(caught.value)


@pytest.mark.parametrize("model", [None, "CharBPE", []])
def test_a_file_without_a_model_is_refused(model, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(ValueError) as caught:
        load_tokenizer(tmp_path, 999)
    assert f"with {model!r}." in str(caught.value)
