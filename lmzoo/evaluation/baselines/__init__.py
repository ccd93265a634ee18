"""Simple models, so that a score has something to stand beside.

`KneserNeyLM` and `LSTMLM` are language models on the tokenizer of the model they are compared with,
`TfidfClassifier` is logistic regression on words, `BM25` searches by words. Each is used as a task
is: `lmzoo.evaluate(baseline, data)`. `evaluate_baselines` does all that suit a task.
"""

from lmzoo.evaluation.baselines.beside import BASELINES, check_train, evaluate_baselines
from lmzoo.evaluation.baselines.bm25 import BM25
from lmzoo.evaluation.baselines.kneser_ney import KneserNeyLM
from lmzoo.evaluation.baselines.lstm import LSTMLM
from lmzoo.evaluation.baselines.tfidf import TfidfClassifier

__all__ = [
    "BASELINES",
    "BM25",
    "KneserNeyLM",
    "LSTMLM",
    "TfidfClassifier",
    "check_train",
    "evaluate_baselines",
]
