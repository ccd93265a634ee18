"""Backbones: ids to hidden states, on one readable page each."""

from lmzoo.models.bert import BertBackbone
from lmzoo.models.gpt import GPTBackbone
from lmzoo.models.modern_bert import ModernBertBackbone
from lmzoo.models.t5 import T5Backbone

__all__ = ["BertBackbone", "GPTBackbone", "ModernBertBackbone", "T5Backbone"]
