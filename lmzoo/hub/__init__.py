"""Hugging Face's layout: opening it and writing it."""

from lmzoo.hub.loading import load
from lmzoo.hub.saving import save_pretrained

__all__ = ["load", "save_pretrained"]
