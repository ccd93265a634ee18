"""Backbones: ids to hidden states, on one readable page each."""

from lmzoo.models.bert import BertBackbone
from lmzoo.models.gpt import GPTBackbone

__all__ = ["BertBackbone", "GPTBackbone"]
