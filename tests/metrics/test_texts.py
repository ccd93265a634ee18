"""The checks that all metrics of written texts share, and how a text is cut."""

import re

import pytest

from lmzoo import metrics
from lmzoo.metrics.texts import list_references, split_text

PAIRED = {
    "rouge": metrics.rouge,
    "match_rate": metrics.match_rate,
    "length_ratio": metrics.length_ratio,
    "list_references": list_references,
}


@pytest.mark.parametrize("metric", PAIRED.values(), ids=PAIRED)
@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        (["a"], ["a", "b"], ValueError, "Received: 1 predictions, 2 references."),
        (["a", "b"], [["a"], []], ValueError, "Received: references[1]=[]."),
        ("a", ["a"], TypeError, "Received: predictions='a'."),
        (["a"], "a", TypeError, "Received: references='a'."),
        (["a", 7], ["a", "b"], TypeError, "Received: predictions[1]=7."),
        (["a"], [["a", None]], TypeError, "Received: references[0][1]=None."),
        (["a"], [7], TypeError, "Received: references[0]=7."),
    ],
)
def test_what_is_no_pair_of_texts_is_refused(metric, predictions, references, error, message):
    with pytest.raises(error, match=re.escape(message)):
        metric(predictions, references)


@pytest.mark.parametrize(
    "metric",
    [
        lambda tokens: metrics.rouge([], [], tokens=tokens),
        lambda tokens: metrics.length_ratio([], [], tokens=tokens),
        lambda tokens: metrics.distinct_n([], 1, tokens=tokens),
        lambda tokens: split_text("", tokens),
    ],
)
def test_unknown_tokens_are_refused(metric):
    with pytest.raises(ValueError, match="Received: tokens='bytes'"):
        metric("bytes")


def test_spaces_of_every_kind_are_no_tokens():
    text = " 我\u3000们\t a\u00a0b\n"
    assert split_text(text, "words") == ["我", "们", "a", "b"]
    assert split_text(text, "characters") == ["我", "们", "a", "b"]
    assert split_text("我们 ab.", "characters") == ["我", "们", "a", "b", "."]
    assert split_text("  ", "words") == []


def test_one_reference_may_stand_alone():
    assert list_references(["a", "b"], ("x", ("y", "z"))) == [["x"], ["y", "z"]]
