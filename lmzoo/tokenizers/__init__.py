"""From text to token ids and back, inside the graph."""

from lmzoo.tokenizers.byte.tokenizer import ByteTokenizer
from lmzoo.tokenizers.byte_pair.tokenizer import BytePairTokenizer
from lmzoo.tokenizers.sentence_piece.tokenizer import SentencePieceTokenizer
from lmzoo.tokenizers.vocabulary import AddedToken
from lmzoo.tokenizers.word_piece.tokenizer import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BytePairTokenizer",
    "ByteTokenizer",
    "SentencePieceTokenizer",
    "WordPieceTokenizer",
]
