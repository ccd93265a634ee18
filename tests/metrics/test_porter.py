"""Stems against NLTK's."""

from lmzoo.metrics.porter import measure, stem


def test_words_have_the_stems_that_nltk_gives_them(golden_texts):
    stems = golden_texts["stems"]
    assert len(stems) > 1000
    assert {word: stem(word) for word in stems} == stems


def test_syllables_are_counted_as_in_the_paper():
    # Porter 1980, section 2.
    words = {
        0: "tr ee tree y by",
        1: "trouble oats trees ivy",
        2: "troubles private oaten orrery",
    }
    for wanted, examples in words.items():
        assert {word: measure(word) for word in examples.split()} == {
            word: wanted for word in examples.split()
        }


def test_a_word_without_end_is_no_trouble():
    # Every second y is a vowel, and so is the last one.
    assert stem("y" * 20_000) == "y" * 19_999 + "i"
