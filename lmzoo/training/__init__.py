"""Training: optimizers, loss scaling and a progress bar for `fit`.

Public are `AdamW`, `Adafactor`, `Lion`, `Muon`, `LossScaleOptimizer` and `RichProgress`.
"""

from lmzoo.training.loss_scale import LossScaleOptimizer
from lmzoo.training.optimizers import Adafactor, AdamW, Lion, Muon
from lmzoo.training.progress import RichProgress

__all__ = ["Adafactor", "AdamW", "Lion", "LossScaleOptimizer", "Muon", "RichProgress"]
