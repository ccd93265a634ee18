"""From text to token ids and back, inside the graph."""

from lmzoo.tokenizers.byte_pair import BytePairTokenizer

__all__ = ["BytePairTokenizer"]
