"""Training: a progress bar for `fit`. Public is `RichProgress`."""

from lmzoo.training.progress import RichProgress

__all__ = ["RichProgress"]
