"""Reusable Keras layers for language models; each works alone in any Keras model."""

from lmzoo.layers.attention import CrossAttention, SelfAttention
from lmzoo.layers.blocks import TransformerBlock
from lmzoo.layers.cache import init_cache, update_cache, write_mask
from lmzoo.layers.dot_product import attend
from lmzoo.layers.embedding import TokenEmbedding
from lmzoo.layers.feed_forward import FeedForward
from lmzoo.layers.heads import ClassificationHead, MaskedLMHead
from lmzoo.layers.masks import (
    make_causal_mask,
    make_document_mask,
    make_padding_mask,
    make_window_mask,
)
from lmzoo.layers.norms import make_norm
from lmzoo.layers.pooling import find_first, pool
from lmzoo.layers.positions import PositionEmbedding, SinePositionEncoding, rotate_by_position
from lmzoo.layers.precision import at_least_float32
from lmzoo.layers.relative_positions import RelativePositionBias
from lmzoo.layers.rotary_scaling import check_rotary_scaling
from lmzoo.layers.word_vectors import load_word_vectors

__all__ = [
    "make_causal_mask",
    "make_padding_mask",
    "make_document_mask",
    "make_window_mask",
    "attend",
    "SelfAttention",
    "CrossAttention",
    "init_cache",
    "update_cache",
    "write_mask",
    "TokenEmbedding",
    "load_word_vectors",
    "PositionEmbedding",
    "SinePositionEncoding",
    "rotate_by_position",
    "check_rotary_scaling",
    "RelativePositionBias",
    "FeedForward",
    "make_norm",
    "TransformerBlock",
    "find_first",
    "pool",
    "ClassificationHead",
    "MaskedLMHead",
    "at_least_float32",
]
