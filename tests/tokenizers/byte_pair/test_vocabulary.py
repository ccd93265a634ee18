import pytest
from tokenizers.pre_tokenizers import ByteLevel

from lmzoo.tokenizers.byte_pair.vocabulary import (
    BYTE_CHARACTERS,
    BytePairVocabulary,
    bytes_to_token,
    token_to_bytes,
)

IDS = {character: index for index, character in enumerate(BYTE_CHARACTERS)}


def test_parts_that_fit_are_resolved():
    ids = {**IDS, "<end>": 257, "ab": 256}
    vocabulary = BytePairVocabulary.build(ids, ["a b"], ["<end>"])
    assert vocabulary.rules == ((97, 98, 256),) and vocabulary.merges == (("a", "b"),)
    assert vocabulary.tokens[256:] == ("ab", "<end>")
    assert vocabulary.pieces[256:] == (b"ab", None)


@pytest.mark.parametrize(
    ("ids", "merges", "special", "message"),
    [
        ({}, [], [], "`vocabulary` must have 1 to 1000000 tokens. Received: 0"),
        ({**IDS, "ab": 300}, [], [], "each id from 0 .* Received: 'ab' with id 300 among 257"),
        ({**IDS, "ab": 7}, [], [], "each id from 0 .* Received: .* with id 7 among 257"),
        ({**IDS, "ab": -1}, [], [], "each id from 0 .* Received: 'ab' with id -1"),
        ({**IDS, "a b": 256}, [], [], "byte-level alphabet. Received: 'a b'"),
        ({**IDS, "": 256}, [], [], "byte-level alphabet. Received: ''"),
        ({**IDS}, ["a"], [], "`merges` must hold pairs .* Received: 'a'"),
        ({**IDS}, ["a b c"], [], "`merges` must hold pairs .* Received: 'a b c'"),
        ({**IDS}, [("a", 1)], [], r"`merges` must hold pairs .* Received: \('a', 1\)"),
        ({**IDS, "ab": 256}, ["a b"] * 2, [], "a pair once. Received twice: 'a b'"),
        ({**IDS}, ["a b"], [], "`merges` must make .* Received: 'a' with 'b', but 'ab'"),
        ({**IDS}, ["a xy"], [], "`merges` must make .* Received: 'a' with 'xy', but 'xy'"),
        ({**IDS, "ab": 256}, ["a b"], ["ab"], "`merges` must make .* but 'ab' is not one"),
        ({**IDS}, [], ["<pad>"], "`special_tokens` must be in .* Received: '<pad>'"),
        ({**IDS}, [], ["x" * 70_000], "4096 characters each. .*with 70000"),
        (
            *({**IDS}, [], [f"{index:04}" + "x" * 4000 for index in range(20)]),
            "65536 characters in all. Received: 80080 in 20 tokens",
        ),
        ({**IDS, "": 256}, [], [""], "`special_tokens` must be text .* Received: ''"),
        ({**IDS, "\x01": 256}, [], ["\x01"], r"`special_tokens` must be text .* '\\x01'"),
        ({**IDS, "\ud800": 256}, [], ["\ud800"], r"`special_tokens` must be text .* '\\ud800'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(ids, merges, special, message):
    with pytest.raises(ValueError, match=message):
        BytePairVocabulary.build(ids, merges, special)


@pytest.mark.parametrize(
    ("ids", "merges", "special", "message"),
    [
        ({**IDS, 5: 256}, [], [], "`vocabulary` must map str to int. Received: 5 with 256"),
        ({**IDS, "ab": True}, [], [], "`vocabulary` must map str to int. Received: 'ab' with True"),
        ({**IDS}, [7], [], "`merges` must hold pairs .* Received: 7"),
        ({**IDS}, [], "<pad>", "`special_tokens` must be a list of str. Received: '<pad>'"),
        ({**IDS}, [], [7], "`special_tokens` must hold str. Received: 7"),
    ],
)
def test_parts_of_the_wrong_type_are_refused(ids, merges, special, message):
    with pytest.raises(TypeError, match=message):
        BytePairVocabulary.build(ids, merges, special)


def test_the_alphabet_is_the_references():
    assert set(BYTE_CHARACTERS) == set(ByteLevel.alphabet()) and len(BYTE_CHARACTERS) == 256
    splitter = ByteLevel(add_prefix_space=False, use_regex=False)
    for text in ("".join(map(chr, range(0x80))), "é我\U0001f600"):
        assert splitter.pre_tokenize_str(text)[0][0] == bytes_to_token(text.encode())


def test_bytes_come_back():
    data = bytes(range(256))
    assert token_to_bytes(bytes_to_token(data)) == data


def test_what_is_not_in_the_alphabet_gives_none():
    assert token_to_bytes("a b") is None
