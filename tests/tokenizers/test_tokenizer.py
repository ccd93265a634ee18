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


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("encode", "tokenize"),
        ("decode", "detokenize"),
        ("convert_tokens_to_ids", "token_to_id"),
        ("vocab_size", "vocabulary_size"),
        ("eos_token_id", "end_token_id"),
        ("bos_token", "start_token"),
        ("save_pretrained", "save"),
    ],
)
def test_a_name_of_another_library_is_answered_with_the_one_here(tokenizer, name, wanted):
    with pytest.raises(AttributeError, match=f"has no `{name}`. Use `{wanted}"):
        getattr(tokenizer, name)
    assert hasattr(tokenizer, wanted) and not hasattr(tokenizer, name)


def test_an_unknown_attribute_is_an_attribute_error(tokenizer):
    with pytest.raises(AttributeError, match="'WordPieceTokenizer' object has no attribute 'word'"):
        _ = tokenizer.word


def test_padding_and_other_options_of_a_call_are_refused_in_words(tokenizer):
    with pytest.raises(TypeError, match="Received: padding, return_tensors.*to_tensor"):
        tokenizer(["a"], padding=True, return_tensors="tf")
    assert tokenizer("a b", allow_special=True).numpy().tolist() == [8, 9]


def test_the_length_is_that_of_the_vocabulary(tokenizer):
    assert len(tokenizer) == tokenizer.vocabulary_size == 14


@pytest.mark.parametrize("name", ["from_pretrained", "from_preset"])
def test_other_names_of_load_load(tokenizer, tmp_path, name):
    tokenizer.save(tmp_path / "a")
    again = getattr(WordPieceTokenizer, name)(tmp_path / "a")
    assert again.tokenize("a [b").numpy().tolist() == [8, 10, 9]


def test_a_name_that_is_no_folder_is_refused_with_the_way_out():
    with pytest.raises(FileNotFoundError, match="Received: 'google/bert'.*lmzoo.load"):
        WordPieceTokenizer.from_pretrained("google/bert")
