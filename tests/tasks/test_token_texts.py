"""Bad words and stop strings of a task that answers, whose text is no other's continuation."""

import pytest
import tensorflow as tf
from tiny_t5 import SOURCES, make_lm, make_tokenizer

from lmzoo.tasks import Seq2SeqLM


@pytest.fixture(scope="module")
def lm():
    """No test changes it."""
    return make_lm(make_tokenizer())


@pytest.fixture(autouse=True)
def eagerly():
    """A few steps are done before a graph is traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_an_answer_ends_before_a_stop_string_also_in_a_stream(lm):
    whole = lm.generate(SOURCES[:4], max_new_tokens=8)
    stop = whole[0][2:4]
    cut = lm.generate(SOURCES[:4], max_new_tokens=8, stop_strings=[stop])
    assert cut == [text.split(stop)[0] for text in whole] != whole
    streamed = "".join(lm.stream(SOURCES[0], max_new_tokens=8, stop_strings=stop))
    assert streamed == whole[0].split(stop)[0]


def test_a_bad_word_is_in_no_answer(lm):
    tokenizer, bare = lm.tokenizer, Seq2SeqLM(lm.backbone, end_token_ids=[1])
    sources = [[*row, 1] for row in tokenizer.tokenize(SOURCES).to_list()]
    written = bare.generate(sources, max_new_tokens=8)
    # Some ids are a part of a character: no word has them alone.
    found = [
        (source, token.decode())
        for source, row in zip(SOURCES, written, strict=True)
        for token_id in row
        for token in tokenizer.detokenize([[token_id]]).numpy()
        if tokenizer.tokenize(token).numpy().tolist() == [token_id]
    ]
    source, word = found[0]
    options = {"max_new_tokens": 8, "bad_words": [word]}
    answer = lm.generate(source, **options)
    assert word in lm.generate(source, max_new_tokens=8)
    assert word not in answer and answer == "".join(lm.stream(source, **options))


def test_without_a_tokenizer_neither_can_be_said(lm):
    bare = Seq2SeqLM(lm.backbone)
    for name in ("bad_words", "stop_strings"):
        with pytest.raises(ValueError, match=f"`{name}` needs .* Received: tokenizer=None"):
            bare.generate([[5, 1]], **{name: ["a"]})
