"""What every tokenizer does with the special tokens that a caller allows."""

import pytest

from lmzoo.tokenizers import WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[A B]", "[A", "B]"]
CLS, MASK, BOTH, FIRST, SECOND = 2, 4, 5, 6, 7


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer([*SPECIAL, "a", "b", "[", "]", "mask", "cls"], special_tokens=SPECIAL)


def test_of_a_list_these_special_tokens_alone_are_read(tokenizer):
    text = "a [MASK] [CLS] b"
    plain = [8, 10, 12, 11, 10, 13, 11, 9]
    assert tokenizer.tokenize(text).numpy().tolist() == plain
    assert tokenizer.tokenize(text, allow_special=[]).numpy().tolist() == plain
    found = tokenizer.tokenize(text, allow_special=["[MASK]"]).numpy().tolist()
    assert found == [8, MASK, 10, 13, 11, 9]
    found = tokenizer.tokenize([text, "[CLS]"], allow_special=("[CLS]", "[MASK]")).to_list()
    assert found == [[8, MASK, CLS, 9], [CLS]]


def test_a_token_with_a_space_is_not_two(tokenizer):
    assert tokenizer.tokenize("[A B]", allow_special=["[A", "B]"]).numpy().tolist() == [6, 7]
    assert tokenizer.tokenize("[A B]", allow_special=["[A B]"]).numpy().tolist() == [BOTH]


@pytest.mark.parametrize("allowed", ["[MASK]", 1, None, {"[MASK]"}])
def test_what_is_allowed_is_a_bool_or_a_list(tokenizer, allowed):
    with pytest.raises(TypeError, match="`allow_special` must be True, False or a list") as error:
        tokenizer.tokenize("a", allow_special=allowed)
    assert f"Received: allow_special={allowed!r}" in str(error.value)


def test_what_is_not_special_is_not_allowed(tokenizer):
    with pytest.raises(ValueError, match="`allow_special` must be among.*Received: 'a'"):
        tokenizer.tokenize("a", allow_special=["a"])
