"""SentencePiece model files: their protocol buffer, their pieces, and their normalization table.

Public: `SentencePieceModel`, which parses a stranger's file and writes one.
"""

from .model import SentencePieceModel

__all__ = ["SentencePieceModel"]
