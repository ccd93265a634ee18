"""Byte-level byte-pair encoding (GPT-2, RoBERTa, ModernBERT, Llama 3, Qwen2, Tekken).

The vocabulary and its merges, and the graphs that encode and decode.

Public: `lmzoo.tokenizers.BytePairTokenizer`.
"""

__all__ = []
