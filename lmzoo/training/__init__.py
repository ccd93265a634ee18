"""Training: optimizers, loss scaling, checkpoints and a progress bar for `fit`.

Public are `AdamW`, `Adafactor`, `Lion`, `Muon`, `LossScaleOptimizer`, `Checkpoint` and
`RichProgress`.
"""

from lmzoo.training.checkpoint import Checkpoint
from lmzoo.training.loss_scale import LossScaleOptimizer
from lmzoo.training.optimizers import Adafactor, AdamW, Lion, Muon
from lmzoo.training.progress import RichProgress

__all__ = [
    "Adafactor",
    "AdamW",
    "Checkpoint",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "RichProgress",
]
