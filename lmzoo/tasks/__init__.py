"""Tasks: a backbone, a head and a tokenizer in one Keras model to fit, save and export.

Public: the task classes, their losses and `EmbeddingIndex`. `discriminative/` holds what the
tasks that do not generate share; nothing in it is public.
"""

from lmzoo.tasks.causal_lm import CausalLM
from lmzoo.tasks.embedding_index import EmbeddingIndex
from lmzoo.tasks.losses import AnswerLoss, SimilarityLoss, TokenCrossentropy
from lmzoo.tasks.masked_lm import MaskedLM
from lmzoo.tasks.question_answerer import QuestionAnswerer
from lmzoo.tasks.seq2seq_lm import Seq2SeqLM
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_classifier import TextClassifier
from lmzoo.tasks.text_embedder import TextEmbedder
from lmzoo.tasks.text_regressor import TextRegressor
from lmzoo.tasks.token_classifier import TokenClassifier
from lmzoo.tasks.zero_shot_classifier import ZeroShotClassifier

__all__ = [
    "MaskedLM",
    "CausalLM",
    "Seq2SeqLM",
    "TextClassifier",
    "TextRegressor",
    "TokenClassifier",
    "QuestionAnswerer",
    "AnswerLoss",
    "TokenCrossentropy",
    "TextEmbedder",
    "SimilarityLoss",
    "EmbeddingIndex",
    "ZeroShotClassifier",
    "Task",
]
