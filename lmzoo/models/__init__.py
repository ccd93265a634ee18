"""Backbones: token ids to hidden states, one file for each.

Public: the backbones. Their base class and the stacks of blocks that they share have modules of
their own.
"""

from lmzoo.models.bert import BertBackbone
from lmzoo.models.gpt import GPTBackbone
from lmzoo.models.modern_bert import ModernBertBackbone
from lmzoo.models.t5 import T5Backbone

__all__ = ["BertBackbone", "GPTBackbone", "ModernBertBackbone", "T5Backbone"]
