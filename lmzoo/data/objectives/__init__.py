"""Training objectives over a token stream: causal, masked, span corruption, prefix, mixtures.

Public: `causal_lm`, `masked_lm`, `span_corruption`, `prefix_lm`, `mix`.
"""

__all__ = []
