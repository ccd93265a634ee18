"""Explaining what a model does with a text: attention weights and integrated gradients.

`attention` and `attribution` compute, `plot_attention` and `plot_attribution` draw a PNG or write a
page of HTML.
"""

from lmzoo.explain.attention_weights import Attention, attention
from lmzoo.explain.drawing import plot_attention, plot_attribution
from lmzoo.explain.integrated_gradients import Attribution, attribution

__all__ = [
    "Attention",
    "Attribution",
    "attention",
    "attribution",
    "plot_attention",
    "plot_attribution",
]
