"""The prediction methods of tasks that read texts: what they take, give and refuse.

Each class is a mixin of a task of `lmzoo.tasks` and of the one of an exported file that answers as
it does. It checks the arguments and hands lists of texts to methods of the task, which run the
model. A task also has `read_texts`, which makes a list of str and says whether it was one text.
"""

from .answering import QuestionAnswering
from .classification import TextClassification, TokenClassification, ZeroShotClassification
from .filling import MaskFilling
from .numbers import TextEmbedding, TextRegression

__all__ = [
    "MaskFilling",
    "QuestionAnswering",
    "TextClassification",
    "TextEmbedding",
    "TextRegression",
    "TokenClassification",
    "ZeroShotClassification",
]
