"""WordPiece (BERT, DistilBERT, ELECTRA, MPNet): vocabulary, longest-match-first graphs.

Public: `lmzoo.tokenizers.WordPieceTokenizer`.
"""

__all__ = []
