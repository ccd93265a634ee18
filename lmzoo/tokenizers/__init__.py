"""From text to token ids and back, inside the graph."""

from lmzoo.tokenizers.byte_pair import BytePairTokenizer
from lmzoo.tokenizers.sentence_piece import SentencePieceTokenizer
from lmzoo.tokenizers.word_piece import WordPieceTokenizer

__all__ = ["BytePairTokenizer", "SentencePieceTokenizer", "WordPieceTokenizer"]
