import random

import pytest
from tokenizers import Regex, pre_tokenizers

from lmzoo.data.corpus import chunks

GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
GPT4 = pre_tokenizers.Split(
    Regex(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    ),
    "isolated",
)
BERT = pre_tokenizers.BertPreTokenizer()
ALPHABET = (
    *"abcXYZ019", *"      ", *"\n\n\n\n", "\r\n", "\t", "\x0b", "\x0c", "\x1c", "\x1f", "\x85",
    "\u2028", "\u3000", "\xa0", "\u200b", "\ufeff", "'s", "'ll", "'", "_", "-", ".", ",", "。",
    "，", "你好", "é", "e\u0301", "\u0301", "नि", "가", "\u1112\u1161", "👩‍👩‍👧",
    "²", "Ⅷ", "<", ")", "\0",
)  # fmt: skip


def tokens(pre_tokenizer, text):
    return [token for token, _ in pre_tokenizer.pre_tokenize_str(text)]


def nasty_texts():
    draw = random.Random(0)
    for _ in range(300):
        favourites = draw.sample(ALPHABET, 8)
        yield "".join(draw.choice(favourites) for _ in range(400))


@pytest.mark.parametrize("pre_tokenizer", [GPT2, GPT4, BERT], ids=["gpt2", "gpt4", "bert"])
def test_chunks_have_the_tokens_of_the_whole(pre_tokenizer, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 8)
    num_chunks = 0
    for text in nasty_texts():
        parts = list(chunks.split_into_chunks([text]))
        num_chunks += len(parts)
        assert "".join(parts) == text
        together = [token for part in parts for token in tokens(pre_tokenizer, part)]
        assert together == tokens(pre_tokenizer, text)
    assert num_chunks > 3000


def test_a_chunk_does_not_end_with_a_blank_line(monkeypatch):
    # GPT-2 reads "\n\n" at the end of a text as one token, before another letter as two.
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 8)
    text = "one\n\ntwo\n\nthree\n\nfour\n\nfive\n\n"
    together = [token for part in chunks.split_into_chunks([text]) for token in tokens(GPT2, part)]
    assert together == tokens(GPT2, text)
    # The control: a cut behind the newlines would be seen by this test.
    assert tokens(GPT2, "one\n\n") + tokens(GPT2, "two") != tokens(GPT2, "one\n\ntwo")


def test_how_the_text_arrives_changes_nothing(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 8)
    monkeypatch.setattr(chunks, "MAX_CHUNK_SIZE", 32)
    draw = random.Random(1)
    for text in nasty_texts():
        parts, rest = [], text
        while rest:
            size = draw.randint(1, 50)
            parts.append(rest[:size])
            rest = rest[size:]
        assert list(chunks.split_into_chunks(parts)) == list(chunks.split_into_chunks([text]))


def test_a_text_without_whitespace_is_split_at_punctuation(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 8)
    monkeypatch.setattr(chunks, "MAX_CHUNK_SIZE", 16)
    text = "你好世界，我喜欢编程。" * 5
    parts = list(chunks.split_into_chunks([text]))
    assert len(parts) > 3 and max(map(len, parts)) <= 16
    assert [token for part in parts for token in tokens(GPT2, part)] == tokens(GPT2, text)


def test_an_endless_word_is_split_at_the_limit():
    parts = list(chunks.split_into_chunks(["x" * 700_000] * 4))
    assert [len(part) for part in parts] == [1 << 20, 1 << 20, 2_800_000 - (1 << 21)]


def test_nothing_gives_no_chunk():
    assert list(chunks.split_into_chunks([])) == list(chunks.split_into_chunks(["", ""])) == []
