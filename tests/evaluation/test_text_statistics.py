"""Weighted statistics of texts beside sacrebleu, rouge-score and the room of metrics."""

import math

import numpy as np
import pytest
import sacrebleu

from lmzoo import metrics
from lmzoo.evaluation import text_statistics as statistics
from lmzoo.evaluation.outputs import Settings

TEXTS = [
    "the cat sat on the mat .",
    "the cat sat on the mat",
    "a dog ran to the house and ran and ran and ran and ran",
    "",
    "我喜欢编程。",
    "the house of the dog is red and the cat is not",
]
REFERENCES = [
    ["The cat sat on the mat."],
    ["the cat sat on a mat", "a cat was on the mat"],
    ["a dog ran to a house", "the dog ran home and ran"],
    ["nothing"],
    ["我很喜欢编程。"],
    ["the dog's house is red, and the cat isn't"],
]
WEIGHTS = [np.ones(6), np.array([2.0, 0, 1, 0, 2, 1])]
settings = Settings()
every_weight = pytest.mark.parametrize("weights", WEIGHTS, ids=["once", "resampled"])


def repeat(weights, *lists):
    return [
        [x for x, count in zip(values, weights, strict=True) for _ in range(int(count))]
        for values in lists
    ]


@every_weight
def test_bleu_and_chrf_are_those_of_sacrebleu(weights):
    texts, references = repeat(weights, TEXTS, REFERENCES)
    streams = [[entry[0] for entry in references], [(entry + [None])[1] for entry in references]]
    bleu = statistics.make_bleu(TEXTS, REFERENCES, settings)(weights)
    assert bleu == pytest.approx(sacrebleu.BLEU().corpus_score(texts, streams).score, abs=1e-9)
    for order in (0, 2):
        expected = sacrebleu.CHRF(word_order=order).corpus_score(texts, streams).score
        found = statistics.make_chrf(TEXTS, REFERENCES, word_order=order)(weights)
        assert found == pytest.approx(expected, abs=1e-9)


def test_the_numbers_of_the_golden_file_are_found(golden_texts):
    for case in golden_texts["translation"]:
        pair = case["predictions"], case["references"]
        ones = np.ones(len(pair[0]))
        assert statistics.make_bleu(*pair, settings)(ones) == pytest.approx(case["bleu"], abs=1e-9)
        assert statistics.make_chrf(*pair)(ones) == pytest.approx(case["chrf"], abs=1e-9)
    cases = golden_texts["rouge_many"]
    pair = [case["prediction"] for case in cases], [case["references"] for case in cases]
    for name in ("rouge1", "rouge2", "rougeL"):
        # precision, recall, f1 of rouge-score
        expected = np.mean([case["scores"]["words"][name][2] for case in cases])
        found = statistics.make_rouge(*pair, name, settings)(np.ones(len(cases)))
        assert found == pytest.approx(expected, abs=1e-12)


@every_weight
def test_texts_score_as_in_the_room_of_metrics(weights):
    texts, references = repeat(weights, TEXTS, REFERENCES)
    for found, expected in (
        (statistics.make_match_rate(TEXTS, REFERENCES), metrics.match_rate(texts, references)),
        (
            statistics.make_length_ratio(TEXTS, REFERENCES, settings),
            metrics.length_ratio(texts, references),
        ),
        (statistics.make_distinct(TEXTS, 2, settings), metrics.distinct_n(texts, 2)),
        (
            statistics.make_repetition_rate(TEXTS, 2, settings),
            metrics.repetition_rate(texts, n=2),
        ),
        (
            statistics.make_rouge(TEXTS, REFERENCES, "rougeL", settings),
            metrics.rouge(texts, references)["rougeL"]["f1"],
        ),
    ):
        assert found(weights) == pytest.approx(expected, abs=1e-12)


def test_self_bleu_is_the_mean_over_the_texts():
    compute = statistics.make_self_bleu(TEXTS, settings)
    assert compute(np.ones(6)) == pytest.approx(metrics.self_bleu(TEXTS)["self_bleu"])
    left = metrics.self_bleu(TEXTS[1:])["self_bleu"]
    assert compute(1 - np.eye(6)[0]) == pytest.approx(left)


def test_likelihoods_are_averaged_over_tokens_and_bytes():
    nats, tokens, num_bytes = [2.0, 6.0], [1, 3], [4, 4]
    weights = np.array([1.0, 2.0])
    perplexity = statistics.make_perplexity(nats, tokens)(weights)
    assert perplexity == pytest.approx(math.exp(14 / 7))
    bits = statistics.make_bits_per_byte(nats, num_bytes)(weights)
    assert bits == pytest.approx(14 / math.log(2) / 12)
    assert statistics.make_perplexity([1e6], [1])(np.ones(1)) == math.exp(700)
