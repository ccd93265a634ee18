"""Training: optimizers, schedules, loss scaling, checkpoints, workers and a progress bar for `fit`.

Public are `AdamW`, `Adafactor`, `Lion`, `Muon`, `LossScaleOptimizer`; the schedules `WarmupCosine`,
`WarmupLinear`, `WarmupInverseSquareRoot` and `WarmupStableDecay`; `Checkpoint`, `RichProgress`,
`averaged_weights`, `multi_worker_strategy`, `estimate_memory` and `describe_batch`.
"""

from lmzoo.training.averages import averaged_weights
from lmzoo.training.checkpoint import Checkpoint
from lmzoo.training.loss_scale import LossScaleOptimizer
from lmzoo.training.memory import describe_batch, estimate_memory
from lmzoo.training.optimizers import Adafactor, AdamW, Lion, Muon
from lmzoo.training.progress import RichProgress
from lmzoo.training.schedules import (
    WarmupCosine,
    WarmupInverseSquareRoot,
    WarmupLinear,
    WarmupStableDecay,
)
from lmzoo.training.workers import multi_worker_strategy

__all__ = [
    "Adafactor",
    "AdamW",
    "Checkpoint",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "RichProgress",
    "WarmupCosine",
    "WarmupInverseSquareRoot",
    "WarmupLinear",
    "WarmupStableDecay",
    "averaged_weights",
    "describe_batch",
    "estimate_memory",
    "multi_worker_strategy",
]
