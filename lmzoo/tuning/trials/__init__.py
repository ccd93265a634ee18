"""One trial of a search: its folder, the process that trains, its log and its memory.

The names of this room are those of a trial's folder, which every process of a search reads.
"""

from lmzoo.tuning.trials.trial_folder import (
    COMPLETED,
    FAILED,
    PRUNED,
    SKIPPED,
    Result,
    TrialFolder,
)

__all__ = ["COMPLETED", "FAILED", "PRUNED", "SKIPPED", "Result", "TrialFolder"]
