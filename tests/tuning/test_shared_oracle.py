"""Giving out trials and taking results: over kills, workers that vanish, and failures."""

import pytest

from lmzoo.tuning.journal import Journal
from lmzoo.tuning.report import ending
from lmzoo.tuning.trials import SKIPPED, TrialFolder
from tests.tuning.tiny_search import make_plan, pretend, pretend_failure

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
from lmzoo.tuning.shared_oracle import SharedOracle, make_oracle  # noqa: E402

# Few losses are too few for the Gaussian process to find its own width.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SEARCHES = {
    "RandomSearch": {"max_trials": 8},
    "BayesianOptimization": {"max_trials": 5, "initial_points": 4},
    "GridSearch": {"max_trials": 8},
    "Hyperband": {},
}


class KilledError(Exception):
    pass


class Start:
    """One start of a search, until it is over or killed.

    Args:
        folder: path.
        sections: of the recipe.
    """

    def __init__(self, folder, **sections):
        self.plan = make_plan(folder, **sections)
        self.plan.prepare_folder()
        self.journal = Journal(self.plan.folder)
        self.oracle = SharedOracle(
            make_oracle(self.plan), self.journal, self.plan, ending.keep_best
        )
        self.num_run = 0

    def run(self, kill_at=None):
        """Runs trials, and stops at a point: a number and "begin", "run" or "end"."""
        try:
            while True:
                trial = self.oracle.create_trial("tuner0")
                if trial.status == "STOPPED":
                    return self
                assert trial.status == "RUNNING"
                number, name = len(self.oracle.trials), trial.trial_id
                self._kill(kill_at, number, "begin")
                pretend(self.plan, name, self.plan.resolve(trial.hyperparameters.values))
                self.num_run += 1
                self._kill(kill_at, number, "run")
                self.oracle.end_trial(trial)
                self._kill(kill_at, number, "end")
        finally:
            self.journal.close()

    def _kill(self, kill_at, *here):
        if kill_at == here:
            raise KilledError

    def describe(self):
        """What must not depend on kills: trials with their values and results, and the best one."""
        known = self.oracle.trials
        return [(name, known[name].values, known[name].result.metrics) for name in known], (
            self.oracle.rank()[0]
        )


@pytest.mark.parametrize("tuner", SEARCHES)
def test_a_search_that_is_killed_anywhere_is_the_same_search(tmp_path, tuner):
    sections = {"search": {"tuner": tuner, **SEARCHES[tuner]}}
    whole = Start(tmp_path / "whole", **sections).run()
    killed, runs = tmp_path / "killed", 0
    for number, point in ((1, "begin"), (2, "run"), (4, "end"), (5, "run")):
        start = Start(killed, **sections)
        with pytest.raises(KilledError):
            start.run(kill_at=(number, point))
        runs += start.num_run
    last = Start(killed, **sections).run()
    assert last.describe() == whole.describe()
    # No trial that had a result was run a second time.
    assert runs + last.num_run == whole.num_run == len(whole.oracle.trials)
    limit = sections["search"].get("max_trials")
    assert limit is None or len(whole.oracle.trials) == limit
    assert (killed / "search" / "best" / "model.safetensors").read_text() == whole.oracle.rank()[0]


def test_more_trials_go_on_where_a_search_ended(tmp_path):
    first = Start(tmp_path, search={"max_trials": 3}).run()
    more = Start(tmp_path, search={"max_trials": 12}).run()
    assert more.num_run == 9 and len(more.oracle.trials) == 12
    assert list(more.oracle.trials)[:3] == list(first.oracle.trials)
    # The same ones as those of a search that had as many from the beginning.
    assert Start(tmp_path / "x", search={"max_trials": 12}).run().describe() == more.describe()


def test_only_the_best_models_stay(tmp_path):
    start = Start(tmp_path, search={"max_trials": 7, "keep": 2}).run()
    kept = sorted(path.parent.name for path in start.plan.folder.glob("trials/*/model"))
    assert kept == sorted(start.oracle.rank()[:2])


def test_two_workers_have_different_trials_and_one_that_asks_again_has_its_own(tmp_path):
    start = Start(tmp_path, search={"max_trials": 2})
    one, two = (start.oracle.create_trial(name) for name in ("a", "b"))
    assert one.trial_id != two.trial_id
    assert start.oracle.create_trial("a").trial_id == one.trial_id
    # There is no third trial, but the others are not over.
    assert start.oracle.create_trial("c").status == "IDLE"
    for trial in (one, two):
        pretend(start.plan, trial.trial_id, start.plan.resolve(trial.hyperparameters.values))
        start.oracle.end_trial(trial)
        start.oracle.end_trial(trial)
    assert [start.oracle.create_trial(name).status for name in "abc"] == ["STOPPED"] * 3
    assert start.oracle.is_over and not start.oracle.workers
    assert [event["event"] for event in start.journal.events] == ["begin", "begin", "end", "end"]
    start.journal.close()


def test_the_trial_of_a_lost_worker_goes_to_another(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lmzoo.tuning.shared_oracle.time.monotonic", lambda: now[0])
    start = Start(tmp_path, search={"max_trials": 1, "lost_seconds": 60})
    trial = start.oracle.create_trial("a")
    folder = TrialFolder(start.plan.folder, trial.trial_id)
    for _ in range(3):
        folder.beat()
        assert start.oracle.create_trial("b").status == "IDLE"
        now[0] += 50
    assert start.oracle.create_trial("b").status == "IDLE"
    now[0] += 50
    assert start.oracle.create_trial("b").trial_id == trial.trial_id
    start.journal.close()


def fail_all(start, **options):
    """Fails each trial until the search is over; how many there were."""
    while True:
        trial = start.oracle.create_trial("a")
        if trial.status == "STOPPED":
            start.journal.close()
            return len(start.oracle.trials)
        pretend_failure(start.plan, trial.trial_id, **options)
        start.oracle.end_trial(trial)


def test_failures_in_a_row_stop_a_search_and_the_next_start_goes_on(tmp_path):
    sections = {"search": {"max_trials": 9, "max_failures": 3}}
    start = Start(tmp_path, **sections)
    assert fail_all(start) == 3
    assert "3 trials failed one after the other. The last one: it broke" == start.oracle.failure
    start = Start(tmp_path, **sections)
    assert start.oracle.failure is None
    assert fail_all(start) == 6


def test_a_recipe_that_the_first_trial_refuses_stops_the_search_and_is_tried_again(tmp_path):
    start = Start(tmp_path)
    assert fail_all(start, reason="no such column", is_refused=True) == 1
    assert start.oracle.failure == "no such column"
    again = Start(tmp_path, search={"max_trials": 2}).run()
    assert again.num_run == 2 and "0000" in again.oracle.rank()


def test_skipped_trials_are_not_counted_but_come_to_an_end(tmp_path):
    start = Start(tmp_path, search={"max_trials": 2})
    skipped = start.oracle.create_trial("tuner0")
    pretend_failure(start.plan, skipped.trial_id, "too large", SKIPPED)
    start.oracle.end_trial(skipped)
    start.run()
    assert start.num_run == 2 and len(start.oracle.trials) == 3
    start = Start(tmp_path / "none", search={"max_trials": 2})
    assert fail_all(start, status=SKIPPED) == 22


def test_the_median_comes_from_trials_with_numbers(tmp_path):
    start = Start(tmp_path, search={"max_trials": 2}).run()
    objectives = [
        start.oracle.trials[name].result.metrics["val_loss"] for name in start.oracle.ended
    ]
    assert start.oracle.list_histories() == [[value] for value in objectives]
