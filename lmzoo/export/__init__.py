"""Artefacts that run where lmzoo is not installed."""

from lmzoo.export.check import check
from lmzoo.export.saved_model import export_saved_model

__all__ = ["check", "export_saved_model"]
