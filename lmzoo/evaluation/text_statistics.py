"""Scores of written texts and of likelihoods, of weighted rows.

As in `class_statistics`, each function gives a statistic: weights (n,) -> float.
"""

import collections
import itertools
import math

import numpy as np

from lmzoo.evaluation.class_statistics import make_mean, make_ratio
from lmzoo.metrics import rouge
from lmzoo.metrics.text_statistics import count_lengths, repetition_rates
from lmzoo.metrics.texts import split_text
from lmzoo.metrics.translation import self_bleu, summarize_bleu, summarize_chrf

__all__ = [
    *("make_bits_per_byte", "make_bleu", "make_chrf", "make_distinct", "make_length_ratio"),
    *("make_match_rate", "make_perplexity", "make_repetition_rate", "make_rouge"),
    "make_self_bleu",
]


def make_perplexity(nats, num_tokens):
    """exp of the mean cross-entropy of a token."""
    mean = make_ratio(nats, num_tokens)
    return lambda weights: math.exp(min(mean(weights), 700.0))


def make_bits_per_byte(nats, num_bytes):
    """Cross-entropy in bits of a byte of the text in UTF-8, whatever the tokenizer."""
    mean = make_ratio(nats, num_bytes)
    return lambda weights: mean(weights) / math.log(2)


def make_match_rate(texts, references):
    """The share of texts that equal a reference, apart from spaces at both ends."""
    pairs = zip(texts, references, strict=True)
    return make_mean([text.strip() in {one.strip() for one in entry} for text, entry in pairs])


def make_bleu(texts, references, settings):
    return _make_summary(*summarize_bleu(texts, references, settings.bleu_tokenize))


def make_chrf(texts, references, word_order=0):
    return _make_summary(*summarize_chrf(texts, references, word_order))


def _make_summary(statistics, score):
    statistics = np.asarray(statistics, "float64")
    # (n,), (n, S) -> (S,)
    return lambda weights: score(weights @ statistics)


def make_rouge(texts, references, name, settings):
    """The mean F1 of the texts."""
    scores = rouge(texts, references, tokens=settings.tokens)[name]["texts"]
    return make_mean([score["f1"] for score in scores])


def make_length_ratio(texts, references, settings):
    return make_ratio(*count_lengths(texts, references, settings.tokens))


def make_repetition_rate(texts, n, settings):
    return make_mean(repetition_rates(texts, n, settings.tokens))


def make_self_bleu(texts, settings):
    """The mean over texts of BLEU against all others, of the texts that have a weight."""

    def compute(weights):
        chosen = [text for text, weight in zip(texts, weights, strict=True) if weight]
        return self_bleu(chosen, settings.bleu_tokenize)["self_bleu"]

    return compute


def make_distinct(texts, n, settings):
    """distinct-n of the texts that are in the resample, each as often as it is."""
    numbers = collections.defaultdict(itertools.count().__next__)
    rows = []
    for text in texts:
        words = split_text(text, settings.tokens)
        ngrams = zip(*(words[start:] for start in range(n)), strict=False)
        rows.append([numbers[ngram] for ngram in ngrams])
    counts = np.array([len(row) for row in rows], "float64")
    ids = np.array(list(itertools.chain.from_iterable(rows)), "int64")
    text_of = np.repeat(np.arange(len(rows)), counts.astype(int))

    def compute(weights):
        is_there = np.zeros(len(numbers), bool)
        is_there[ids[weights[text_of] > 0]] = True
        total = weights @ counts
        return float(is_there.sum() / total) if total else 0.0

    return compute
