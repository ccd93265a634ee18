"""SentencePiece (T5, Llama 2, Mistral, XLM-RoBERTa): model files, checked, and their graphs.

Public: `lmzoo.tokenizers.SentencePieceTokenizer`.
"""

__all__ = []
