"""Training: what a run shows and keeps."""

from lmzoo.training.progress import RichProgress

__all__ = ["RichProgress"]
