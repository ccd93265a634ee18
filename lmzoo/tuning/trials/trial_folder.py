"""Where a trial lives on the disk, and what it has to say at its end."""

import dataclasses
import math

from lmzoo.json_files import read_json, read_text, write_json, write_text

__all__ = ["COMPLETED", "FAILED", "PRUNED", "SKIPPED", "Result", "TrialFolder"]

COMPLETED, PRUNED, SKIPPED, FAILED = "completed", "pruned", "skipped", "failed"


@dataclasses.dataclass
class Result:
    """How a trial ended.

    Args:
        status: "completed"; "pruned", with the objective that it had by then; "skipped", if it
            would not have fitted into memory; or "failed".
        reason: str or None. Why it was skipped, pruned or failed.
        metrics: dict of name to float, of the best epoch.
        epoch: int or None. The best epoch, from 0.
        history: list of dict of name to float, an epoch each.
        seconds: float.
        parameters: int or None.
        is_refused: bool. Whether it failed before training began, by an error of the recipe or the
            data.
    """

    status: str
    reason: str | None = None
    metrics: dict = dataclasses.field(default_factory=dict)
    epoch: int | None = None
    history: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    parameters: int | None = None
    is_refused: bool = False

    @property
    def has_score(self):
        """bool. Whether it counts among the trials that are compared."""
        return self.status in (COMPLETED, PRUNED)


class TrialFolder:
    """`trials/ID/` of a search.

    Args:
        folder: pathlib.Path. Of the search.
        trial_id: str.
    """

    def __init__(self, folder, trial_id):
        self.path = folder / "trials" / trial_id
        self.model = self.path / "model"
        self.log = self.path / "log.txt"

    def read_result(self):
        """Result, or None where the trial has not ended."""
        path = self.path / "result.json"
        return Result(**read_json(path)) if path.exists() else None

    def write_result(self, result):
        """Keeps how the trial ended; JSON has no NaN, so it is written as null."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "result.json", _to_finite(dataclasses.asdict(result)))

    def remove_result(self):
        """Lets the trial be run again."""
        (self.path / "result.json").unlink(missing_ok=True)

    def beat(self):
        """Shows that the worker of the trial is alive, by a number that grows."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "alive", f"{(self.read_beat() or 0) + 1}\n")

    def read_beat(self):
        """int, or None where no worker has begun."""
        path = self.path / "alive"
        return int(read_text(path)) if path.exists() else None

    def read_history(self):
        """list of dict of name to float, an epoch each, while the trial runs too."""
        path = self.path / "history.json"
        return read_json(path, kind=list) if path.exists() else []

    def write_history(self, history):
        write_json(self.path / "history.json", _to_finite(history))


def _to_finite(value):
    if isinstance(value, dict):
        return {key: _to_finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_to_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
