"""Small numbers about texts, each against its definition."""

import pytest

from lmzoo.metrics import distinct_n, length_ratio, match_rate, repetition_rate


def test_a_match_is_exact_but_for_spaces_at_the_ends():
    predictions = ["a b", " a b\n", "a  b", "A b", "a b.", "c"]
    references = ["a b", "a b", "a b", "a b", "a b", ["a", " c"]]
    assert match_rate(predictions, references) == 0.5
    assert match_rate(["", "x"], ["", ""]) == 0.5


def test_runs_are_counted_over_all_texts_and_cross_no_border():
    texts = ["a b a b", "b a", "", "c"]
    # Words: a 3, b 3, c 1. Pairs: ab ba ab | ba.
    assert distinct_n(texts, 1) == pytest.approx(3 / 7)
    assert distinct_n(texts, 2) == pytest.approx(2 / 4)
    # aba, bab
    assert distinct_n(texts, 3) == 1.0
    assert distinct_n(texts, 5) == 0.0
    assert distinct_n(["一二 一二"], 2, tokens="characters") == pytest.approx(2 / 3)


def test_lengths_are_added_up_before_they_are_divided():
    assert length_ratio(["a b", "a b c d"], ["a", "a b c"]) == 6 / 4
    assert length_ratio(["一二 三"], ["一二三四"], tokens="characters") == 0.75


def test_the_reference_of_the_nearest_length_counts():
    assert length_ratio(["a b c"], [["a", "a b c d", "a b c d e"]]) == 0.75
    # Two and four words are as near: the shorter one.
    assert length_ratio(["a b c"], [["a b c d", "a b"]]) == 1.5


def test_nothing_is_zero():
    assert match_rate([], []) == length_ratio([], []) == distinct_n([], 1) == 0.0
    assert length_ratio(["a"], [""]) == 0.0


@pytest.mark.parametrize("n", [0, -1, 1.5, None])
def test_a_run_has_at_least_one_token(n):
    with pytest.raises(ValueError, match=f"Received: n={n}"):
        distinct_n(["a"], n)


def test_texts_are_a_list_of_strings():
    with pytest.raises(TypeError, match="Received: texts='a b'"):
        distinct_n("a b", 1)
    with pytest.raises(TypeError, match=r"Received: texts\[1\]=3"):
        distinct_n(["a", 3], 1)


def test_the_repetition_rate_is_the_share_of_n_grams_that_came_before():
    text = "a b a b a b"
    # a b, b a, a b, b a, a b
    assert repetition_rate([text], n=2) == pytest.approx(3 / 5)
    assert repetition_rate([text, "x y z"], n=2) == pytest.approx(3 / 10)
    assert repetition_rate(["word"] * 3) == 0.0
    assert repetition_rate([]) == 0.0
    assert repetition_rate(["喜喜喜"], n=1, tokens="characters") == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="n=0"):
        repetition_rate([text], n=0)
    with pytest.raises(TypeError, match="texts='a'"):
        repetition_rate("a")
