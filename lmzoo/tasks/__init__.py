"""Backbone, head and tokenizer together: something to fit, save and export."""

from lmzoo.tasks.causal_lm import CausalLM
from lmzoo.tasks.masked_lm import MaskedLM
from lmzoo.tasks.question_answerer import AnswerLoss, QuestionAnswerer
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_classifier import TextClassifier
from lmzoo.tasks.text_regressor import TextRegressor
from lmzoo.tasks.token_classifier import TokenClassifier

__all__ = [
    "MaskedLM",
    "CausalLM",
    "TextClassifier",
    "TextRegressor",
    "TokenClassifier",
    "QuestionAnswerer",
    "AnswerLoss",
    "Task",
]
