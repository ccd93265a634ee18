"""Bad words and stop strings of a task that answers, whose text is no other's continuation."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation.token_texts import encode_bad_words, find_text_start, find_token_bytes
from lmzoo.tasks import Seq2SeqLM
from lmzoo.tokenizers import SentencePieceTokenizer, WordPieceTokenizer
from tests.tasks.tiny_t5 import SOURCES, make_lm, make_tokenizer


@pytest.fixture(scope="module")
def lm():
    """No test changes it."""
    return make_lm(make_tokenizer())


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceTokenizer.train(iter(SOURCES * 9), 60, "bpe", num_sentinels=0)


@pytest.fixture(autouse=True)
def eagerly():
    """A few steps are done before a graph is traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_an_answer_ends_before_a_stop_string_also_in_a_stream(lm):
    whole = lm.generate(SOURCES[:3], max_new_tokens=5)
    stop = whole[0][2:4]
    cut = lm.generate(SOURCES[:3], max_new_tokens=5, stop_strings=[stop])
    assert cut == [text.split(stop)[0] for text in whole] != whole
    streamed = "".join(lm.stream(SOURCES[0], max_new_tokens=5, stop_strings=stop))
    assert streamed == whole[0].split(stop)[0]


def test_a_stop_string_is_looked_for_in_the_text_that_is_read(pieces):
    lm = make_lm(pieces, seed=5, vocabulary_size=pieces.vocabulary_size)
    whole = lm.generate(SOURCES, max_new_tokens=5)
    assert any(" " in text for text in whole)
    cut = lm.generate(SOURCES, max_new_tokens=5, stop_strings=[" "])
    assert cut == [text.split(" ")[0] for text in whole]
    index = next(index for index, text in enumerate(whole) if " " in text)
    streamed = lm.stream(SOURCES[index], max_new_tokens=5, stop_strings=" ")
    assert "".join(streamed) == cut[index]


def test_a_text_starts_as_the_tokenizer_writes_it(pieces):
    size = pieces.vocabulary_size + 3
    tokens, start = find_token_bytes(pieces, size), find_text_start(pieces, size)
    rows = np.random.default_rng(0).integers(0, pieces.vocabulary_size, (300, 6))
    # What begins no text comes first often enough.
    rows[::2, 0], rows[::4, 1] = pieces.token_to_id("\u2581"), pieces.pad_token_id
    for row, wanted in zip(rows, pieces.detokenize(rows).numpy(), strict=True):
        text, begun = b"", False
        for token in row:
            drops = start.drops_space[token] and not begun
            text += tokens[token][1:] if drops else tokens[token]
            begun |= start.begins[token]
        assert text == wanted
    assert tokens[-3:] == [b""] * 3 and not start.begins[-3:].any()
    assert find_text_start(make_tokenizer(), 300) is None


def test_a_bad_word_is_in_no_answer_and_read_once(lm, monkeypatch):
    tokenizer, bare = lm.tokenizer, Seq2SeqLM(lm.backbone, end_token_ids=[1])
    sources = [[*row, 1] for row in tokenizer.tokenize(SOURCES).to_list()]
    written = bare.generate(sources, max_new_tokens=5)
    # Some ids are a part of a character: no word has them alone.
    found = [
        (source, token.decode())
        for source, row in zip(SOURCES, written, strict=True)
        for token_id in row
        for token in tokenizer.detokenize([[token_id]]).numpy()
        if tokenizer.tokenize(token).numpy().tolist() == [token_id]
    ]
    source, word = found[0]
    answer = lm.generate(source, max_new_tokens=5, bad_words=[word])
    assert word not in answer and len(answer) > 1
    # A SentencePiece model is made anew to read them, a second's work where it is large.
    monkeypatch.setattr(lm.tokenizer, "tokenize_continuation", None)
    assert lm.generate(source, max_new_tokens=5, bad_words=[word]) == answer


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_bad_word_is_known_at_a_start_behind_a_space_and_inside_a_word(model_type):
    texts = ["我喜欢猫吗", "猫 喜欢", "concat the cat", "cat cats"]
    tokenizer = SentencePieceTokenizer.train(iter(texts * 9), 60, model_type, num_sentinels=0)

    def holds(word, text):
        """Whether a text has one of the rows of the word."""
        ids = tokenizer.tokenize(text).numpy().tolist()
        rows = encode_bad_words(tokenizer, (word,)).numpy().tolist()
        rows = [[token for token in row if token >= 0] for row in rows]
        return any(ids[k : k + len(row)] == row for row in rows for k in range(len(ids)))

    for word, where in (("欢", ("欢", "吗 欢", "吗欢")), ("h", ("h t", "t h", "oh"))):
        assert [text for text in where if holds(word, text)] == list(where)
        assert not holds(word, "on")


def test_without_a_tokenizer_neither_can_be_said(lm):
    bare = Seq2SeqLM(lm.backbone)
    for name in ("bad_words", "stop_strings"):
        with pytest.raises(ValueError, match=f"`{name}` needs .* Received: tokenizer=None"):
            bare.generate([[5, 1]], **{name: ["a"]})


def test_words_that_do_not_say_where_spaces_are_know_no_stop_strings(lm):
    words = WordPieceTokenizer.train(iter(SOURCES * 9), 80)
    with pytest.raises(ValueError, match="`stop_strings` needs .* Received: WordPieceTokenizer"):
        find_token_bytes(words, 80)
