"""Keras layers for language models; each works alone in any Keras model.

Attention, blocks, embeddings, feed-forward networks and heads are public, and so are the functions
that make attention masks, pool hidden states and read word vectors. Other modules hold what these
layers share: the key-value cache, rotary scaling, norms, precision and checks.
"""

from lmzoo.layers.attention import CrossAttention, SelfAttention
from lmzoo.layers.attention.masks import (
    make_causal_mask,
    make_document_mask,
    make_padding_mask,
    make_window_mask,
)
from lmzoo.layers.attention.positions import RelativePositionBias
from lmzoo.layers.blocks import TransformerBlock
from lmzoo.layers.embedding import PositionEmbedding, SinePositionEncoding, TokenEmbedding
from lmzoo.layers.feed_forward import FeedForward
from lmzoo.layers.heads import ClassificationHead, MaskedLMHead, pool
from lmzoo.layers.word_vectors import load_word_vectors

__all__ = [
    "TokenEmbedding",
    "PositionEmbedding",
    "SinePositionEncoding",
    "RelativePositionBias",
    "SelfAttention",
    "CrossAttention",
    "FeedForward",
    "TransformerBlock",
    "ClassificationHead",
    "MaskedLMHead",
    "make_causal_mask",
    "make_padding_mask",
    "make_document_mask",
    "make_window_mask",
    "load_word_vectors",
    "pool",
]
