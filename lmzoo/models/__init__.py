"""Backbones: ids to hidden states, on one readable page each."""

from lmzoo.models.gpt import GPTBackbone

__all__ = ["GPTBackbone"]
