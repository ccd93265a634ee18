"""Answers against the definition of the two scripts, cases worked by hand, and torchmetrics."""

import collections
import re
import string

import numpy as np
import pytest

from lmzoo.metrics import ExactMatch, SquadF1, normalise_answer, squad_scores


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Cat", "cat"),
        ("a-b", "ab"),
        ("a b. an (the) c's", "b cs"),
        ("theory an", "theory"),
        ("a.", ""),
        ("The\tlast \n one", "last one"),
        ("É à la «carte»", "é à la «carte»"),
    ],
)
def test_answers_are_normalised_as_the_script_does(text, wanted):
    assert normalise_answer(text) == wanted


def test_random_answers_have_the_scores_of_torchmetrics(golden):
    case = golden["squad"]
    scores = squad_scores(case["predictions"], case["references"])
    assert scores["exact"] == pytest.approx(case["scores"]["exact_match"], rel=1e-6)
    assert scores["f1"] == pytest.approx(case["scores"]["f1"], rel=1e-6)
    assert scores["HasAns_f1"] == scores["f1"]
    assert "NoAns_f1" not in scores


def test_random_answers_have_the_scores_of_the_1_1_script(golden):
    case = golden["squad_1.1"]
    scores = squad_scores(case["predictions"], case["references"], version="1.1")
    assert scores == {
        **{name: pytest.approx(case["scores"][name]) for name in case["scores"]},
        "total": 300,
    }
    # The two scripts differ here.
    other = squad_scores(case["predictions"], case["references"])
    assert abs(other["exact"] - scores["exact"]) > 1 and abs(other["f1"] - scores["f1"]) > 1


def test_the_best_gold_answer_counts_for_each_number_alone():
    # Against "cat": one of three common, 2 * 1 / (1 + 3); against "big dog" 2 * 2 / (2 + 3).
    scores = squad_scores(["big dog cat"], [["a cat", "the big dog"]])
    assert scores["exact"] == 0.0
    assert scores["f1"] == pytest.approx(80.0)
    # Words count as often as they are there: 2 * 2 / (3 + 2).
    assert squad_scores(["x x"], [["x x x"]])["f1"] == pytest.approx(80.0)


def test_a_question_without_an_answer_wants_an_empty_one():
    scores = squad_scores(["", "the", "dog", "", "cat"], [[], [], [], ["cat"], ["cat"]])
    # Right are "", "the", which is nothing but an article, and "cat".
    assert scores == {
        "exact": pytest.approx(60.0),
        "f1": pytest.approx(60.0),
        "total": 5,
        "HasAns_exact": 50.0,
        "HasAns_f1": 50.0,
        "HasAns_total": 2,
        "NoAns_exact": pytest.approx(200 / 3),
        "NoAns_f1": pytest.approx(200 / 3),
        "NoAns_total": 3,
    }


def test_a_gold_answer_of_articles_alone_is_left_out():
    assert squad_scores(["the"], [["a", "cat"]])["exact"] == 0.0
    assert squad_scores([""], [["the"]])["exact"] == 100.0


def test_by_1_1_a_gold_answer_of_articles_alone_is_matched_without_a_word():
    scores = squad_scores(["A", "The", ""], [["A", "Big cat"], ["The"], ["cat"]], version="1.1")
    assert scores == {"exact": pytest.approx(200 / 3), "f1": 0.0, "total": 3}
    for metric, wanted in ((ExactMatch(version="1.1"), 100.0), (SquadF1(version="1.1"), 0.0)):
        metric.update_state([["A", "Big cat"], ["The"]], ["A", "The"])
        assert float(metric.result()) == wanted
        assert type(metric).from_config(metric.get_config()).version == "1.1"


def test_what_1_1_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"Received: references\[1\]=\[\]"):
        squad_scores(["a", "b"], [["a"], []], version="1.1")
    with pytest.raises(ValueError, match=r"Received: y_true\[0\]=\[\]"):
        SquadF1(version="1.1").update_state([[]], ["a"])
    with pytest.raises(ValueError, match=r"must be None.*Received: \[0.5\]"):
        squad_scores(["a"], [["a"]], [0.5], version="1.1")
    for make in (lambda version: squad_scores([], [], version=version), ExactMatch, SquadF1):
        with pytest.raises(ValueError, match="`version` must be one of .*Received: version=1.1"):
            make(version=1.1)


def test_the_best_threshold_is_found_by_hand():
    predictions, references = ["cat", "dog", "owl", "big fox"], [["cat"], [], ["bat"], ["fox"]]
    scores = squad_scores(predictions, references, [0.1, 0.9, 0.6, 0.2])
    # No answers at all: one right of four. Answering "cat" and "big fox" adds 1 and 2/3 of F1;
    # "owl" adds nothing and "dog" takes away.
    assert scores["best_exact"] == 50.0
    assert scores["best_exact_thresh"] == 0.1
    assert scores["best_f1"] == pytest.approx(100 * (1 + 1 + 2 / 3) / 4)
    assert scores["best_f1_thresh"] == 0.2
    assert scores["exact"] == 25.0
    # Where nobody has an answer, leaving all without one is best.
    scores = squad_scores(["x"], [[]], [0.5])
    assert (scores["best_f1"], scores["best_f1_thresh"]) == (100.0, 0.0)


def words_of(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return [word for word in re.split(r"\s+", text) if word and word not in ("a", "an", "the")]


def score_by_definition(gold, prediction):
    one, other = words_of(gold), words_of(prediction)
    counts, left = 0, collections.Counter(one)
    for word in other:
        counts, left[word] = counts + (left[word] > 0), left[word] - 1
    exact = float(one == other)
    if not one or not other or not counts:
        return exact, exact
    precision, recall = counts / len(other), counts / len(one)
    return exact, 2 * precision * recall / (precision + recall)


def test_random_answers_follow_the_definition_at_every_threshold():
    generator = np.random.default_rng(2)
    words = ["a", "The", "cat", "cat,", "dog", "!", "x-y"]

    def text():
        return " ".join(generator.choice(words, generator.integers(0, 4)))

    references = [[f"{text()} dog" for _ in range(generator.integers(0, 3))] for _ in range(150)]
    predictions = [text() for _ in references]
    probabilities = generator.permutation(150) / 150
    scores = squad_scores(predictions, references, probabilities.tolist())
    each = [
        np.max([score_by_definition(gold, said) for gold in golds or [""]], axis=0)
        for golds, said in zip(references, predictions, strict=True)
    ]
    assert scores["exact"] == pytest.approx(100 * np.mean(each, axis=0)[0])
    assert scores["f1"] == pytest.approx(100 * np.mean(each, axis=0)[1])
    has_none = np.array([not golds for golds in references], float)
    # An answer counts as given where it is not empty as it stands, as in the script.
    answered = np.array(each)
    answered[has_none > 0] = np.array([[not text] * 2 for text in predictions])[has_none > 0]
    for column, name in enumerate(["exact", "f1"]):
        sums = {
            threshold: np.where(probabilities <= threshold, answered[:, column], has_none).mean()
            for threshold in [-1.0, *probabilities]
        }
        best = max(sums, key=sums.get)
        assert scores[f"best_{name}"] == pytest.approx(100 * sums[best])
        assert sums[scores[f"best_{name}_thresh"]] == pytest.approx(sums[best])


def test_equal_probabilities_are_taken_one_by_one():
    # A threshold of 0.5 answers both; the script stops between them.
    scores = squad_scores(["cat", "dog"], [["cat"], []], [0.5, 0.5])
    assert (scores["best_exact"], scores["best_exact_thresh"]) == (100.0, 0.5)


def test_no_questions_score_zero():
    scores = squad_scores([], [], [])
    assert scores["exact"] == scores["f1"] == scores["best_f1"] == 0.0
    assert scores["total"] == 0


def test_the_metrics_add_up_over_batches(golden):
    case = golden["squad"]
    exact, f1 = ExactMatch(), SquadF1()
    assert float(exact.result()) == float(f1.result()) == 0.0
    for start in range(0, 300, 70):
        batch = [case[name][start : start + 70] for name in ("references", "predictions")]
        exact.update_state(*batch)
        f1.update_state(*batch)
    assert float(exact.result()) == pytest.approx(case["scores"]["exact_match"], rel=1e-6)
    assert float(f1.result()) == pytest.approx(case["scores"]["f1"], rel=1e-6)
    exact.reset_state()
    assert float(exact.result()) == 0.0


def test_a_gold_answer_without_its_list_is_not_read_letter_by_letter():
    with pytest.raises(TypeError, match=r"Received: references\[0\]='abc'"):
        squad_scores(["abc"], ["abc"])
    with pytest.raises(TypeError, match=r"Received: predictions\[1\]=None"):
        squad_scores(["abc", None], [["abc"], []])
    for metric in (ExactMatch(), SquadF1()):
        with pytest.raises(TypeError, match=r"Received: y_true\[1\]='cat'"):
            metric.update_state([["a"], "cat"], ["a", "cat"])


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="1 predictions, 2 references"):
        squad_scores(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="1 references, 2 no_answer_probabilities"):
        squad_scores(["a"], [["a"]], [0.1, 0.2])
    for metric in (ExactMatch(), SquadF1()):
        with pytest.raises(ValueError, match="2 y_pred, 1 y_true"):
            metric.update_state([["a"]], ["a", "b"])


@pytest.mark.parametrize("probability", [-0.5, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(probability):
    received = rf"Received: no_answer_probabilities\[1\]={probability}"
    with pytest.raises(ValueError, match=received):
        squad_scores(["a", "b"], [[], []], [0.5, probability])
