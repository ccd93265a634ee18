"""When a trial ends early, and as what."""

import math
import types

import pytest

from lmzoo.tuning.trials import TrialFolder
from lmzoo.tuning.trials.trial_log import TrialLog, find_best_epoch, find_end


def make_rules(**changes):
    rules = {"objective": "val_loss", "direction": "min", "patience": 2, "prune_after": 1}
    return {**rules, "others": [], **changes}


def make_history(*values):
    return [{"val_loss": value} for value in values]


@pytest.mark.parametrize(
    ("values", "changes", "end"),
    [
        ([3, 2, 1], {}, None),
        ([1, 2], {}, None),
        ([1, 2, 1], {}, "completed"),
        ([1, 2, 3], {"direction": "max"}, None),
        ([3, 2, 1], {"direction": "max"}, "completed"),
        ([1, 2, 3, 4], {"patience": 0}, None),
        ([5], {"others": [[1], [2], [9]]}, "pruned"),
        ([5], {"others": [[1], [2]]}, None),
        ([5], {"others": [[1, 0], [6], [9]]}, None),
        ([5], {"others": [[1], [2], [9]], "direction": "max"}, None),
        ([5], {"others": [[1], [2], [9]], "prune_after": 2}, None),
        ([5], {"others": [[1], [2], [9]], "prune_after": 0}, None),
        # At the second epoch the others are at 1, 2 and 9; the fourth ended before.
        ([5, 4], {"others": [[1, 1], [3, 2], [9, 9], [0]]}, "pruned"),
        # The best so far counts, not the last one.
        ([1, 4], {"others": [[1, 1], [3, 2], [9, 9]]}, None),
    ],
)
def test_a_trial_ends_without_progress_or_below_the_median(values, changes, end):
    assert find_end(make_history(*values), make_rules(**changes)) == end


def test_the_first_of_equal_epochs_is_the_best():
    assert find_best_epoch([2, 1, 1], "min") == find_best_epoch([2, 3, 3], "max") == 1


def make_log(tmp_path, history, **changes):
    folder = TrialFolder(tmp_path, "0000")
    folder.path.mkdir(parents=True)
    log = TrialLog(folder, make_rules(**changes))
    past = types.SimpleNamespace(
        epoch=list(range(len(history))), history={"val_loss": list(history)}
    )
    log._model = types.SimpleNamespace(history=past, stop_training=False)
    return log


def test_the_history_is_whole_also_after_a_resume(tmp_path):
    log = make_log(tmp_path, [1.0, 2.0])
    log.on_epoch_end(2, {"val_loss": 3.0, "loss": math.nan})
    assert log.folder.read_history() == [
        {"val_loss": 1.0}, {"val_loss": 2.0}, {"val_loss": 3.0, "loss": None}
    ]  # fmt: skip
    assert log.model.stop_training


def test_an_objective_that_is_missing_or_not_finite_is_an_error(tmp_path):
    log = make_log(tmp_path, [])
    with pytest.raises(ValueError, match="`search.objective` .*'val_loss'. There are loss"):
        log.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(FloatingPointError, match="`val_loss` must be finite. Received: nan"):
        log.on_epoch_end(0, {"val_loss": math.nan})
    assert log.folder.read_history() == []
