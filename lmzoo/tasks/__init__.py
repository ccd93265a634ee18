"""Backbone, head and tokenizer together: something to fit, save and export."""

from lmzoo.tasks.causal_lm import CausalLM
from lmzoo.tasks.masked_lm import MaskedLM
from lmzoo.tasks.question_answerer import AnswerLoss, QuestionAnswerer
from lmzoo.tasks.seq2seq_lm import Seq2SeqLM
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_classifier import TextClassifier
from lmzoo.tasks.token_classifier import TokenClassifier
from lmzoo.tasks.token_loss import TokenCrossentropy

__all__ = [
    "MaskedLM",
    "CausalLM",
    "Seq2SeqLM",
    "TextClassifier",
    "TokenClassifier",
    "QuestionAnswerer",
    "AnswerLoss",
    "TokenCrossentropy",
    "Task",
]
