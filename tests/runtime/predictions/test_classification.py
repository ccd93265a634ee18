"""Which labels of a text are given."""

import pytest

from lmzoo.runtime.predictions.classification import check_label_choice, choose_labels

FOUND = [
    {"label": "good", "score": 0.5},
    {"label": "café", "score": 0.3},
    {"label": "bad", "score": 0.2},
]


def test_the_best_the_first_or_those_above_a_threshold_are_given():
    assert choose_labels(FOUND, None) == FOUND[0]
    assert choose_labels(FOUND, 1) == FOUND[:1]
    assert choose_labels(FOUND, 9, threshold=0.4) == FOUND
    assert choose_labels(FOUND, None, threshold=0.3) == FOUND[:2]
    assert choose_labels(FOUND, None, threshold=0.6) == []


@pytest.mark.parametrize("top_k", [0, 1.0, True, "3"])
def test_what_is_no_number_of_labels_is_refused(top_k):
    with pytest.raises(ValueError, match=f"positive int. Received: top_k={top_k!r}"):
        check_label_choice(top_k, 0.5)


@pytest.mark.parametrize("threshold", [-0.1, 5, float("nan"), "0.5", None])
def test_what_is_no_score_is_no_threshold(threshold):
    with pytest.raises(ValueError, match=f"from 0 to 1. Received: threshold={threshold!r}"):
        check_label_choice(None, threshold)
    check_label_choice(None, 0)
    check_label_choice(3, 1.0)
