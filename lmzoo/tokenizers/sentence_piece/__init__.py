"""SentencePiece (T5, Llama 2, Mistral): the model file, checked, and its graphs.

Public: `lmzoo.tokenizers.SentencePieceTokenizer`.
"""

__all__ = []
