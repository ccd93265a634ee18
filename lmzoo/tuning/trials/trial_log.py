"""A callback for a trial: writes down each validation, and ends what is not worth more time."""

import math
import statistics

import keras

from lmzoo.tuning.trials import COMPLETED, PRUNED

__all__ = ["TrialLog", "find_best_epoch", "find_end"]

# A median of fewer trials says little.
_FEWEST_OTHERS = 3


class TrialLog(keras.callbacks.Callback):
    """Keeps the numbers of each epoch in the folder of a trial, and stops it early.

    An epoch is what is between two validations. Everything that it decides follows from the numbers
    so far, so that a trial that was killed goes on to the same end.

    Args:
        folder: TrialFolder.
        rules: dict, as for `find_end`.
    """

    # Its memory is the history of `fit`, which a checkpoint restores.
    is_stateless = True

    def __init__(self, folder, rules):
        super().__init__()
        self.folder, self.rules = folder, rules

    def on_epoch_end(self, epoch, logs=None):
        # Keras adds this epoch to it after all other callbacks.
        kept = self.model.history.history
        history = [
            {name: float(values[index]) for name, values in kept.items() if index < len(values)}
            for index in range(len(self.model.history.epoch))
        ]
        history.append({name: float(value) for name, value in (logs or {}).items()})
        objective = self.rules["objective"]
        if objective not in history[-1]:
            raise ValueError(
                f"`search.objective` must be a value of `fit`. Received: {objective!r}. There are "
                f"{', '.join(sorted(history[-1]))}."
            )
        if not math.isfinite(history[-1][objective]):
            raise FloatingPointError(
                f"`{objective}` must be finite. Received: {history[-1][objective]} in epoch "
                f"{epoch}."
            )
        self.folder.write_history(history)
        if find_end(history, self.rules) is not None:
            self.model.stop_training = True


def find_best_epoch(values, direction):
    """The index of the best of some numbers, the first one of equals."""
    return values.index(min(values) if direction == "min" else max(values))


def find_end(history, rules):
    """Whether a trial ends after its last epoch so far, and as what.

    Args:
        history: list of dict of name to float, an epoch each.
        rules: dict with `objective` (str), `direction` ("min" or "max"), `patience` (int, 0 for
            none), `prune_after` (int, 0 for never) and `others` (list of lists: the objective at
            each epoch of earlier trials).
    Returns:
        None, or "completed" where the objective did not improve for `patience` epochs, or "pruned"
        where the best so far is worse than the median of the best of others at this epoch.
    Reference: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization", section
        3.2.1, the median stopping rule; here with the best so far in place of running averages.
    """
    values = [epoch[rules["objective"]] for epoch in history]
    sign = 1 if rules["direction"] == "min" else -1
    best = find_best_epoch(values, rules["direction"])
    if rules["patience"] and len(values) - 1 - best >= rules["patience"]:
        return COMPLETED
    if not rules["prune_after"] or len(values) < rules["prune_after"]:
        return None
    others = [
        min(sign * value for value in other[: len(values)])
        for other in rules["others"]
        if len(other) >= len(values)
    ]
    if len(others) >= _FEWEST_OTHERS and sign * values[best] > statistics.median(others):
        return PRUNED
    return None
