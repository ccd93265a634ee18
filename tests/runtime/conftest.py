"""The texts, tokenizers and models of the tests of tokenizers."""

import pytest

from tests.tokenizers.conftest import (
    byte_pair_tokenizer,
    draw_mark_texts,
    draw_texts,
    library_text,
    nasty_texts,
    train_model,
    unigram_model,
    unigram_tokenizer,
    word_piece_tokenizer,
)

pytest.importorskip("ai_edge_litert", reason="needs `pip install lmzoo[runtime]`")

__all__ = [
    "byte_pair_tokenizer",
    "draw_mark_texts",
    "draw_texts",
    "library_text",
    "nasty_texts",
    "train_model",
    "unigram_model",
    "unigram_tokenizer",
    "word_piece_tokenizer",
]
