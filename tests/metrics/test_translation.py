"""BLEU and chrF against sacrebleu called directly, in a golden file."""

import re
import sys

import pytest

from lmzoo.metrics import bleu, chrf, self_bleu
from lmzoo.metrics.translation import make_streams


@pytest.fixture
def sacrebleu():
    return pytest.importorskip("sacrebleu", reason="BLEU and chrF need sacrebleu")


@pytest.mark.parametrize("number", [0, 1], ids=["one reference", "up to three"])
def test_the_scores_are_those_of_sacrebleu(golden_texts, sacrebleu, number):
    case = golden_texts["translation"][number]
    texts = (case["predictions"], case["references"])
    scores = bleu(*texts)
    assert scores["bleu"] == pytest.approx(case["bleu"])
    assert scores["precisions"] == pytest.approx(case["precisions"])
    assert scores["brevity_penalty"] == pytest.approx(case["brevity_penalty"])
    assert bleu(*texts, lowercase=True)["bleu"] == pytest.approx(case["bleu_lowercase"])
    assert chrf(*texts)["chrf"] == pytest.approx(case["chrf"])
    assert chrf(*texts, word_order=2)["chrf"] == pytest.approx(case["chrf_words"])


def test_chinese_is_scored_by_characters(golden_texts, sacrebleu):
    case = golden_texts["chinese"]
    texts = (case["predictions"], case["references"])
    assert bleu(*texts, tokenize="zh")["bleu"] == pytest.approx(case["bleu"])
    assert bleu(*texts)["bleu"] != pytest.approx(case["bleu"])
    assert chrf(*texts)["chrf"] == pytest.approx(case["chrf"])


def test_a_signature_says_what_was_computed(sacrebleu):
    assert "tok:zh" in bleu(["a"], ["a"], tokenize="zh")["signature"]
    assert "case:lc" in bleu(["a"], ["a"], lowercase=True)["signature"]
    assert "nw:2" in chrf(["a"], ["a"], word_order=2)["signature"]


def test_no_texts_score_zero(sacrebleu):
    assert bleu([], [])["bleu"] == chrf([], [])["chrf"] == 0.0


def test_wrong_arguments_are_refused(sacrebleu):
    with pytest.raises(ValueError, match="Received: tokenize='words'"):
        bleu(["a"], ["a"], tokenize="words")
    for order in (-1, 1.5, "2"):
        with pytest.raises(ValueError, match=f"an integer .* Received: word_order={order!r}"):
            chrf(["a"], ["a"], word_order=order)
    for metric in (bleu, chrf):
        with pytest.raises(ValueError, match="Received: 1 predictions, 2 references"):
            metric(["a"], ["a", "b"])
        with pytest.raises(TypeError, match=r"Received: predictions\[0\]=7"):
            metric([7], ["a"])


def test_texts_may_have_different_numbers_of_references():
    assert make_streams([["a", "b"], ["c"]]) == [["a", "c"], ["b", None]]


@pytest.mark.parametrize("metric", [bleu, chrf])
def test_without_sacrebleu_there_is_a_remedy(metric, monkeypatch):
    for name in ("sacrebleu", "sacrebleu.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    message = "Received: no module 'sacrebleu.metrics'. Run `pip install lmzoo[metrics]`."
    with pytest.raises(ImportError, match=re.escape(message)):
        metric(["a"], ["a"])


def test_self_bleu_is_sacrebleus_score_of_each_text_against_the_others(sacrebleu):
    texts = ["the cat sat on the mat", "a dog sat on the mat .", "the the the", "", "a dog ran"]
    metric = sacrebleu.BLEU(effective_order=True)
    expected = []
    for index, text in enumerate(texts):
        others = [other for number, other in enumerate(texts) if number != index]
        expected.append(metric.sentence_score(text, others).score)
    found = self_bleu(texts)
    assert found["texts"] == pytest.approx(expected, abs=1e-9)
    assert found["self_bleu"] == pytest.approx(sum(expected) / 5)
    assert self_bleu(["a b"] * 3)["self_bleu"] == pytest.approx(100.0)
    assert self_bleu(["alone"]) == {"self_bleu": 0.0, "texts": [0.0]}
    with pytest.raises(ValueError, match="tokenize='none such'"):
        self_bleu(texts, "none such")
