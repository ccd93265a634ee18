"""The texts and models of the tests of tokenizers."""

from tests.tokenizers.conftest import (
    draw_texts,
    library_text,
    nasty_texts,
    train_model,
    unigram_model,
    unigram_tokenizer,
)

__all__ = [
    "draw_texts",
    "library_text",
    "nasty_texts",
    "train_model",
    "unigram_model",
    "unigram_tokenizer",
]
