"""One call of `generate`: prompts as texts or ids, special tokens, bad words."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation.pipeline import encode_bad_words, encode_batch, list_prompts
from lmzoo.tasks import Seq2SeqLM
from lmzoo.tokenizers import SentencePieceTokenizer
from tests.tasks.tiny_t5 import SOURCES, make_tokenizer
from tests.tasks.tiny_t5 import make_lm as make_t5

# They share the code, so every run tries one of them.
both = pytest.mark.parametrize("is_seq2seq", [pytest.param(False, marks=pytest.mark.slow), True])


@pytest.fixture(scope="module")
def t5():
    """No test changes it."""
    return make_t5(make_tokenizer())


def test_one_prompt_is_a_list_of_one():
    assert list_prompts("a", 9, is_text=True) == (["a"], True)
    assert list_prompts(("a", "b"), 9, is_text=True) == (["a", "b"], False)
    assert list_prompts([], 9, is_text=True) == list_prompts([], 9) == ([], False)
    assert list_prompts([5, 0, 8], 9) == ([[5, 0, 8]], True)
    assert list_prompts(np.array([[5, 0], [8, 1]]), 9) == ([[5, 0], [8, 1]], False)
    assert list_prompts([np.array([5]), [], (1, np.int64(2))], 9) == ([[5], [], [1, 2]], False)


@pytest.mark.parametrize(
    ("prompts", "error", "received"),
    [
        ([[5], [5, -3, 1]], ValueError, "from 0 to 8. Received: -3 in prompt 1"),
        ([[5, 9]], ValueError, "from 0 to 8. Received: 9 in prompt 0"),
        ([5, -3], ValueError, "from 0 to 8. Received: -3 in prompt 0"),
        (["abc"], TypeError, "has no tokenizer. Received: 'abc' in prompt 0"),
        ("abc", TypeError, "has no tokenizer. Received: 'abc'"),
        ([[1], 5], TypeError, "Received: 5 at index 1"),
        ([[1], ["a"]], TypeError, "Received: 'a' in prompt 1"),
        ([[1, 2.0]], TypeError, "Received: 1.0 in prompt 0"),
        ([[True]], TypeError, "Received: True in prompt 0"),
        ([[[1]]], TypeError, r"Received: \[1\] in prompt 0"),
        ([[1, [2]]], TypeError, r"Received: \[2\] in prompt 0"),
        (7, TypeError, "Received: 7"),
        ({"a": 1}, TypeError, "Received: {'a': 1}"),
    ],
)
def test_what_are_no_ids_of_the_vocabulary_is_refused(prompts, error, received):
    with pytest.raises(error, match=received):
        list_prompts(prompts, 9)


@pytest.mark.parametrize(
    ("prompts", "error", "received"),
    [
        (["a", 3], TypeError, "Received: 3 at index 1"),
        (7, TypeError, "Received: prompts=7"),
        (b"a", TypeError, "prompts=b'a'"),
        (
            ["a", "\ud800"],
            ValueError,
            "`prompts` .*lone surrogate '.ud800' at character 0 of index 1",
        ),
    ],
)
def test_what_are_no_texts_is_refused(prompts, error, received):
    with pytest.raises(error, match=received):
        list_prompts(prompts, 9, is_text=True)


def test_texts_may_come_in_an_array_or_a_tensor():
    for prompts in (np.array(["a", "猫"]), tf.constant(["a", "猫"])):
        assert list_prompts(prompts, 9, is_text=True) == (["a", "猫"], False)


def test_both_tasks_refuse_an_id_that_would_be_counted_from_the_end(make_lm):
    for lm in (make_lm(tokenizer=None), make_t5(None)):
        with pytest.raises(ValueError, match="Received: -3 in prompt 1"):
            lm.generate([[5], [5, -3, 1]])
        with pytest.raises(ValueError, match="`allow_special` .* Received: tokenizer=None"):
            lm.generate([[5]], allow_special=True)
    lm = make_lm(tokenizer=None)
    with pytest.raises(ValueError, match="`texts` must .* Received: 400 in prompt 1"):
        lm.score([[5], [400]], [[5], [5]])
    with pytest.raises(ValueError, match="`allow_special` .* Received: tokenizer=None"):
        lm.score([[5]], allow_special=True)


def find_real(token_ids, mask):
    return [row[real].tolist() for row, real in zip(token_ids.numpy(), mask.numpy(), strict=True)]


@both
def test_a_special_token_is_text_unless_the_caller_says_otherwise(make_lm, eagerly, is_seq2seq):
    tokenizer = make_tokenizer()
    lm = make_t5(tokenizer) if is_seq2seq else make_lm(tokenizer=tokenizer)
    end = [1] if is_seq2seq else []
    prompt, plain = "a <pad> cat", tokenizer.tokenize("a <pad> cat").numpy().tolist()
    special = tokenizer.tokenize(prompt, allow_special=True).numpy().tolist()
    assert special.count(0) == 1 > plain.count(0)
    for allowed, ids in ((False, plain), (True, special), (["<pad>"], special), (["</s>"], plain)):
        assert find_real(*encode_batch(lm, [prompt], allowed)) == [ids + end]
    options = {"max_new_tokens": 3, "return_prompt": False}
    wanted = type(lm)(lm.backbone, end_token_ids=[1]).generate([special + end], **options)[0]
    wanted = wanted[: wanted.index(1)] if 1 in wanted else wanted
    text = lm.generate(prompt, allow_special=True, **options)
    assert text == tokenizer.detokenize(wanted).numpy().decode()
    assert "".join(lm.stream(prompt, allow_special=True, max_new_tokens=3)) == text
    with pytest.raises(TypeError, match="allow_special='yes'"):
        lm.generate(prompt, allow_special="yes")


@both
def test_a_score_reads_special_tokens_where_the_caller_says_so(make_lm, eagerly, is_seq2seq):
    lm = make_t5(make_tokenizer()) if is_seq2seq else make_lm(tokenizer=make_tokenizer())
    pair = ("a <pad> b", "<pad> a")
    spelled, read = lm.score(*pair), lm.score(*pair, allow_special=True)
    assert len(read) == len(spelled) - 4


def test_a_bad_word_is_in_no_answer_and_read_once(t5, eagerly, monkeypatch):
    tokenizer, bare = t5.tokenizer, Seq2SeqLM(t5.backbone, end_token_ids=[1])
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
    answer = t5.generate(source, max_new_tokens=5, bad_words=[word])
    assert word not in answer and len(answer) > 1
    # A SentencePiece model is made anew to read them, a second's work where it is large.
    monkeypatch.setattr(t5.tokenizer, "tokenize_continuation", None)
    assert t5.generate(source, max_new_tokens=5, bad_words=[word]) == answer


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


def test_without_a_tokenizer_neither_can_be_said(t5, eagerly):
    bare = Seq2SeqLM(t5.backbone)
    for name in ("bad_words", "stop_strings"):
        with pytest.raises(ValueError, match=f"`{name}` needs .* Received: tokenizer=None"):
            bare.generate([[5, 1]], **{name: ["a"]})
