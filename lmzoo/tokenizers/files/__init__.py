"""Hugging Face's tokenizer files, read and written: vocabularies, tokenizer.json, added tokens.

Nothing here is public: a tokenizer's `load` and `save` call it.
"""

__all__ = []
