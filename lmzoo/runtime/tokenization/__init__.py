"""Text to ids and back, with the ids of the in-graph tokenizers of lmzoo.

Public: `make_tokenizer`, which gives a `Tokenizer`, and `StreamingDetokenizer`.
"""

from .making import make_tokenizer
from .streaming import StreamingDetokenizer
from .tokenizer import Tokenizer

__all__ = ["StreamingDetokenizer", "Tokenizer", "make_tokenizer"]
