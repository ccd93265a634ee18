"""ROUGE against rouge-score, and sequences against a search through all of them."""

import itertools
import random

import pytest

from lmzoo.metrics import rouge
from lmzoo.metrics.rouge import find_longest

KINDS = ("rouge1", "rouge2", "rougeL")
NUMBERS = ("precision", "recall", "f1")


@pytest.mark.parametrize("part", ["rouge", "rouge_many"])
@pytest.mark.parametrize(("use_stemmer", "key"), [(False, "words"), (True, "stems")])
def test_the_scores_are_those_of_rouge_score(golden_texts, part, use_stemmer, key):
    cases = golden_texts[part]
    predictions = [case["prediction"] for case in cases]
    references = [case["references"] for case in cases]
    scores = rouge(predictions, references, use_stemmer=use_stemmer)
    for kind in KINDS:
        wanted = [case["scores"][key][kind] for case in cases]
        assert len(scores[kind]["texts"]) == len(wanted)
        for place, name in enumerate(NUMBERS):
            column = [numbers[place] for numbers in wanted]
            assert [text[name] for text in scores[kind]["texts"]] == pytest.approx(column)
            assert scores[kind][name] == pytest.approx(sum(column) / len(column))


def test_stems_make_a_difference_in_the_golden_file(golden_texts):
    # Or the test above would prove nothing about the stemmer.
    cases = golden_texts["rouge_many"]
    assert any(case["scores"]["words"] != case["scores"]["stems"] for case in cases)


def test_the_longest_sequence_is_the_longest_there_is():
    draw = random.Random(1)
    for _ in range(60):
        one, other = ([draw.choice("abc") for _ in range(draw.randint(0, 7))] for _ in range(2))
        shared = [
            size
            for size in range(len(one) + 1)
            if set(itertools.combinations(one, size)) & set(itertools.combinations(other, size))
        ]
        assert find_longest(one, other) == max(shared)


def test_a_text_longer_than_a_machine_word_is_compared():
    # The usual table, row by row.
    draw = random.Random(2)
    one, other = ([draw.choice("abcdef") for _ in range(size)] for size in (150, 201))
    row = [0] * (len(other) + 1)
    for token in one:
        before, row = row, [0]
        for place, wanted in enumerate(other):
            best = before[place] + 1 if token == wanted else max(before[place + 1], row[place])
            row.append(best)
    assert find_longest(one, other) == row[-1]


def test_the_best_reference_counts_for_each_score_by_itself():
    # One shares both words, the other the pair "b a".
    scores = rouge(["b a"], [["a b", "x b a y z"]])
    assert scores["rouge1"]["f1"] == 1.0
    assert scores["rouge2"]["recall"] == 0.25
    assert scores["rougeL"]["f1"] == pytest.approx(2 * 1.0 * 0.4 / 1.4)


def test_characters_are_words_where_nobody_writes_spaces():
    prediction, reference = "我喜欢BERT。", "我很喜欢bert！"
    assert rouge([prediction], [reference])["rouge1"]["recall"] == 1.0  # Only "bert" counts.
    scores = rouge([prediction], [reference], tokens="characters")
    # 我 喜 欢 bert of 我 很 喜 欢 bert; of the pairs 喜欢 and 欢bert.
    assert (scores["rouge1"]["precision"], scores["rouge1"]["recall"]) == (1.0, 0.8)
    assert scores["rouge2"]["recall"] == 0.5
    assert scores["rougeL"]["recall"] == 0.8


def test_ascii_texts_have_the_same_words_either_way(golden_texts):
    cases = golden_texts["rouge_many"]
    predictions = [make_ascii(case["prediction"]) for case in cases]
    references = [make_ascii(case["references"][0]) for case in cases]
    assert rouge(predictions, references) == rouge(predictions, references, tokens="characters")


def make_ascii(text):
    return text.encode("ascii", "ignore").decode()


def test_no_texts_score_zero():
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "texts": []}
    assert rouge([], []) == {kind: nothing for kind in KINDS}
