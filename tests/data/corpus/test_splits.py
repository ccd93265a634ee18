import collections

import numpy as np
import pytest

from lmzoo.data import Corpus, split_stream, stream_tokens
from lmzoo.data.corpus.splits import choose_validation

END = 256


@pytest.fixture
def make_stream(tmp_path, tokenizer):
    def make(texts):
        path = tmp_path / "corpus.txt"
        path.write_text(";".join(texts))
        return stream_tokens(Corpus(path, document_separator=";"), tokenizer)

    return make


def texts_of(stream):
    parts = np.split(np.array(stream.token_ids), np.array(stream.starts, int))
    assert parts[0].size == 0
    return [bytes(part[1:].astype(np.uint8)).decode() for part in parts[1:]]


@pytest.fixture
def texts():
    lengths = np.random.default_rng(0).integers(1, 300, 2000)
    return [f"{number} " + "x" * int(length) for number, length in enumerate(lengths)]


def test_every_document_is_on_one_side(make_stream, texts):
    training, validation = map(texts_of, split_stream(make_stream(texts), 0.1))
    assert not set(training) & set(validation)
    assert collections.Counter(training + validation) == collections.Counter(texts)
    # Each side keeps the order of the corpus.
    assert sorted(validation, key=texts.index) == validation


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9])
def test_the_share_is_met_by_tokens_and_evenly(make_stream, texts, share):
    stream = make_stream(texts)
    _, validation = split_stream(stream, share, seed=3)
    assert abs(len(validation) - share * len(stream)) <= 310
    if share == 0.1:
        numbers = [int(text.split()[0]) for text in texts_of(validation)]
        assert min(np.histogram(numbers, bins=5, range=(0, 2000))[0]) > 20


def test_the_seed_decides(make_stream, texts):
    stream = make_stream(texts)
    sides = [texts_of(split_stream(stream, 0.1, seed)[1]) for seed in (0, 1, 0)]
    assert sides[0] == sides[2] != sides[1]
    assert len(set(sides[0]) & set(sides[1])) < 0.3 * len(sides[0])


def test_blocks_of_documents_change_nothing(make_stream, texts, monkeypatch):
    stream = make_stream(texts)
    whole = list(choose_validation(stream, 0.2))
    assert [begin for begin, _, _ in whole] == stream.starts.tolist()
    assert [end for _, end, _ in whole] == [*stream.starts.tolist()[1:], len(stream)]
    for size in (1, 7, 1000, 2000):
        monkeypatch.setattr("lmzoo.data.corpus.splits._DOCUMENTS_PER_BLOCK", size)
        assert list(choose_validation(stream, 0.2)) == whole


def test_a_split_is_found_again(make_stream, texts, monkeypatch):
    stream = make_stream(texts)
    first = split_stream(stream, 0.1)
    monkeypatch.setattr("lmzoo.data.corpus.splits.write_stream", None)
    again = split_stream(stream, 0.1)
    assert [side.folder for side in first] == [side.folder for side in again]


@pytest.mark.parametrize("texts", [["x" * 999], ["a", "b" * 10, "x" * 985]])
@pytest.mark.parametrize("seed", range(4))
def test_too_few_documents_give_the_tail(make_stream, texts, seed, monkeypatch):
    monkeypatch.setattr("lmzoo.data.corpus.splits._TOKENS_PER_PART", 64)
    stream = make_stream(texts)
    training, validation = split_stream(stream, 0.1, seed)
    whole = stream.token_ids.tolist()
    assert len(validation) == 100
    assert training.token_ids.tolist() + validation.token_ids.tolist() == whole
    assert validation.starts.tolist() == []


def test_a_side_without_tokens_is_refused(make_stream):
    with pytest.raises(ValueError, match=r"validation_split=0\.001 for a corpus of 3 tokens"):
        split_stream(make_stream(["ab"]), 0.001)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, "0.1", float("nan")])
def test_a_share_that_is_none_is_refused(make_stream, share):
    with pytest.raises(ValueError, match=f"Received: validation_split={share!r}"):
        split_stream(make_stream(["text"]), share)
