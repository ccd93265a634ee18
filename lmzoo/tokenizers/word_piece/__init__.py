"""WordPiece (BERT, DistilBERT, ELECTRA): vocabulary, longest-match encoding, decoding.

Public: `lmzoo.tokenizers.WordPieceTokenizer`.
"""

__all__ = []
