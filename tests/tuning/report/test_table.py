"""What a terminal shows of a search."""

import io
import sys

import pytest

from lmzoo.tuning.journal import Journal
from lmzoo.tuning.report.table import TrialTable
from lmzoo.tuning.trials import TrialFolder
from tests.tuning.tiny_search import make_plan, pretend, pretend_failure

pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
from lmzoo.tuning.shared_oracle import SharedOracle, make_oracle  # noqa: E402


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def search(tmp_path):
    """A search of two trials that have ended, one that failed and one that runs."""
    plan = make_plan(tmp_path, search={"max_trials": 9})
    plan.prepare_folder()
    with Journal(plan.folder) as journal:
        oracle = SharedOracle(make_oracle(plan), journal, plan)
        for number in range(3):
            trial = oracle.create_trial("a")
            if number == 1:
                pretend_failure(plan, trial.trial_id, "out of memory [OOM at /device:0]")
            else:
                pretend(plan, trial.trial_id, trial.hyperparameters.values)
            oracle.end_trial(trial)
        running = TrialFolder(plan.folder, oracle.create_trial("a").trial_id)
        running.path.mkdir()
        running.write_history([{"val_loss": 0.75}, {"val_loss": 0.5}])
        yield plan, oracle


def test_a_terminal_shows_all_trials_and_the_best(search, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "160")
    with TrialTable(*search, verbose=True):
        pass
    shown = sys.stderr.getvalue()
    assert "3 of 9 trials have ended" in shown and "running" in shown and "0.5" in shown
    assert "failed (out of memory [OOM at /device:0])" in shown
    assert shown.index("0000") < shown.index("0003")


def test_without_a_terminal_there_is_a_line_for_each_end(search, capsys):
    plan, oracle = search
    with TrialTable(plan, oracle, verbose=True) as table:
        trial = oracle.create_trial("a")
        pretend(plan, trial.trial_id, trial.hyperparameters.values)
        oracle.end_trial(trial)
        table.update(now=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "3 trials have ended before" in lines[0]
    assert lines[1].startswith("0003 completed val_loss ") and "hidden_dim" in lines[1]
    with TrialTable(plan, oracle, verbose=False) as table:
        table.update(now=True)
    assert capsys.readouterr().err == ""
