import numpy as np
import pytest
from tokenizers import Tokenizer

from lmzoo.tokenizers import BytePairTokenizer

SPECIAL = ["<|endoftext|>", "<|end", "<a>", "<a><b>", "<b>x", "[X]*(.)\\", "<mask>"]
STRIPS = {"lstrip": ["<mask>", "<b>x"], "rstrip": ["<|end", "<b>x"]}


@pytest.fixture(scope="module")
def tokenizer(byte_pair_tokenizer):
    vocabulary = byte_pair_tokenizer._vocabulary
    more = [token for token in SPECIAL if token not in vocabulary.ids]
    ids = {**vocabulary.ids, **{token: 3000 + index for index, token in enumerate(more)}}
    return BytePairTokenizer(ids, vocabulary.merges, SPECIAL, **STRIPS)


def test_no_special_token_comes_out_of_text(tokenizer):
    texts = [*SPECIAL, *("x" + token + " y" for token in SPECIAL), "".join(SPECIAL)]
    texts += ["<|ENDOFTEXT|>", "＜|endoftext|＞", "<|end\u200boftext|>"]
    special = {tokenizer.token_to_id(token) for token in SPECIAL}
    ids = tokenizer.tokenize(texts)
    assert not special & set(ids.flat_values.numpy().tolist())
    assert tokenizer.detokenize(ids).numpy().tolist() == [text.encode() for text in texts]


def test_allowed_ones_are_found_as_the_reference_finds_them(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    generator = np.random.default_rng(0)
    parts = [
        *SPECIAL,
        *SPECIAL,
        " ",
        "\n ",
        "\u00a0",
        "a",
        "<",
        "<b>",
        "|>",
        "\x00",
        "\x01\x02",
        "é",
    ]
    texts = [
        "".join(parts[index] for index in generator.integers(len(parts), size=size % 12))
        for size in range(3000)
    ]
    ours = tokenizer.tokenize(texts, allow_special=True)
    assert ours.to_list() == [encoding.ids for encoding in reference.encode_batch(texts)]
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts, allow_special=True)
    assert ids.to_list() == ours.to_list()
    for text, row, *offsets in zip(
        texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True
    ):
        for token_id, start, end in zip(row, *offsets, strict=True):
            token = tokenizer.id_to_token(token_id)
            assert token not in SPECIAL or text[start:end] == token
    alone = [tokenizer.tokenize(text, allow_special=True).numpy().tolist() for text in texts[:64]]
    assert alone == ours[:64].to_list()


def test_white_space_before_a_stripping_token_goes(tokenizer):
    mask = tokenizer.token_to_id("<mask>")
    ids = tokenizer.tokenize("a \u3000<mask> b", allow_special=True).numpy().tolist()
    assert ids == [tokenizer.token_to_id("a"), mask, tokenizer.token_to_id("Ġb")]


def test_white_space_behind_a_stripping_token_goes(tokenizer):
    end, both = (tokenizer.token_to_id(token) for token in ("<|end", "<b>x"))
    ids = tokenizer.tokenize("<|end \u3000b <b>x\nb", allow_special=True).numpy().tolist()
    assert ids == [end, tokenizer.token_to_id("b"), both, tokenizer.token_to_id("b")]


def test_without_special_tokens_nothing_is_allowed():
    tokenizer = BytePairTokenizer.train(iter(["x"]), 256, special_tokens=[])
    assert tokenizer.tokenize("<|endoftext|>", allow_special=True).shape == (13,)
