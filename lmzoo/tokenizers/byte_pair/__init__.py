"""Byte-level byte-pair encoding (GPT-2, RoBERTa, Llama 3, Qwen2): vocabulary, merges, graphs.

Public: `lmzoo.tokenizers.BytePairTokenizer`.
"""

__all__ = []
