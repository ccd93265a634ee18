"""UTF-8 bytes as tokens (ByT5): no vocabulary file, and no training.

Public: `lmzoo.tokenizers.ByteTokenizer`.
"""

__all__ = []
