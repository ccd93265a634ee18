"""Artefacts that run where lmzoo is not installed."""

from lmzoo.export.check import check
from lmzoo.export.litert import export_litert
from lmzoo.export.saved_model import export_saved_model

__all__ = ["check", "export_litert", "export_saved_model"]
