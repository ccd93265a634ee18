"""Multi-head attention, and what stands around its scores.

Self-attention and cross-attention are public; beside them are masks, positions, the key-value cache
and two ways to compute the scores, whole and in chunks.
"""

from lmzoo.layers.attention.cross_attention import CrossAttention
from lmzoo.layers.attention.self_attention import SelfAttention

__all__ = ["CrossAttention", "SelfAttention"]
