import pytest

from lmzoo.tokenizers.word_piece.vocabulary import WordPieceVocabulary


def test_parts_that_fit_are_resolved():
    vocabulary = WordPieceVocabulary.build(["[UNK]", "a", "##b", "##"], ["[UNK]"], "##")
    assert vocabulary.initial_tokens == {"a": 1, "##b": 2, "##": 3}
    assert vocabulary.continuing_tokens == {"b": 2}
    assert vocabulary == WordPieceVocabulary.build(vocabulary.ids, ["[UNK]"], "##")


@pytest.mark.parametrize(
    ("tokens", "special", "prefix", "message"),
    [
        ([], [], "##", "`vocabulary` must have 1 to 1000000 tokens. Received: 0"),
        (["a", "b", "a"], [], "##", "a token once. Received: 'a' at 0 and at 2"),
        ({"a": 0, "b": 2}, [], "##", "each id from 0 .* Received: 'b' with id 2 among 2"),
        (["a", ""], [], "##", "not empty and has no line break. Received: '' at 1"),
        (["a\nb"], [], "##", r"no line break. Received: 'a\\nb' at 0"),
        (["\ud800"], [], "##", r"no line break. Received: '\\ud800' at 0"),
        (["a" * 9_000_000], [], "##", "8388608 characters in all. Received: 9000000 in 1"),
        (["a"], ["[X]"], "##", r"`special_tokens` must be in .* Received: '\[X\]'"),
        (["a"], [], "", "`prefix` must be a str that is not empty. Received: ''"),
        (["a"], [], None, "`prefix` must be a str that is not empty. Received: None"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tokens, special, prefix, message):
    with pytest.raises(ValueError, match=message):
        WordPieceVocabulary.build(tokens, special, prefix)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("abc", "`vocabulary` must be a list of str or a dict .* Received: 'abc'"),
        (["a", 7], "`vocabulary` must hold str. Received: 7 at 1"),
        ({"a": True}, "`vocabulary` must map str to int. Received: 'a' with True"),
    ],
)
def test_parts_of_the_wrong_type_are_refused(tokens, message):
    with pytest.raises(TypeError, match=message):
        WordPieceVocabulary.build(tokens, [], "##")
