"""Metrics with the numbers of the reference scripts, over any batches and replicas.

Keras metrics for classes, spans, numbers, answers and perplexity, and functions that score lists of
texts: ROUGE, BLEU, chrF and others. Public are the names below.
"""

from lmzoo.metrics.classification import F1, Accuracy, MatthewsCorrelation
from lmzoo.metrics.correlation import PearsonCorrelation, SpearmanCorrelation
from lmzoo.metrics.perplexity import Perplexity
from lmzoo.metrics.question_answering import ExactMatch, SquadF1, normalise_answer, squad_scores
from lmzoo.metrics.rouge import rouge
from lmzoo.metrics.span_f1 import SpanF1
from lmzoo.metrics.spans import find_spans, span_scores
from lmzoo.metrics.text_statistics import (
    distinct_n,
    length_ratio,
    match_rate,
    repetition_rate,
)
from lmzoo.metrics.translation import bleu, chrf, self_bleu

__all__ = [
    "Perplexity",
    "Accuracy",
    "F1",
    "MatthewsCorrelation",
    "SpanF1",
    "find_spans",
    "span_scores",
    "ExactMatch",
    "SquadF1",
    "normalise_answer",
    "squad_scores",
    "PearsonCorrelation",
    "SpearmanCorrelation",
    "bleu",
    "chrf",
    "rouge",
    "match_rate",
    "distinct_n",
    "length_ratio",
    "repetition_rate",
    "self_bleu",
]
