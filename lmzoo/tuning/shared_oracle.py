"""An oracle of keras-tuner that survives a kill: each decision is in a journal and is repeated."""

import threading
import time
from typing import NamedTuple

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from lmzoo.tuning.trials import FAILED, SKIPPED, TrialFolder

__all__ = ["SharedOracle", "make_oracle"]

# A skipped trial does not count, but a space in which hardly anything fits must come to an end.
_MOST_SKIPPED = 10


def make_oracle(plan):
    """The oracle of keras-tuner that a plan names.

    Args:
        plan: Plan.
    Returns:
        keras_tuner.Oracle, which knows the whole space.
    """
    recipe = plan.recipe
    hyperparameters = keras_tuner.HyperParameters()
    plan.space.declare(hyperparameters)
    options = {
        "objective": keras_tuner.Objective(plan.objective, plan.direction),
        "hyperparameters": hyperparameters,
        "seed": recipe["search.seed"] + 1,
        # It would raise within its lock; `SharedOracle` counts failures.
        "max_consecutive_failed_trials": 1 << 30,
    }
    name = recipe["search.tuner"]
    if name == "Hyperband":
        options |= {"max_epochs": recipe["training.epochs"], "factor": recipe["search.factor"]}
    else:
        # `SharedOracle` counts trials. keras-tuner's count is part of their names, and may change.
        options["max_trials"] = None
    kind = getattr(keras_tuner.oracles, f"{name}Oracle")
    if name == "BayesianOptimization":
        kind = _BayesianOracle
        most = max(3, 3 * len(hyperparameters.space))
        options["num_initial_points"] = recipe["search.initial_points"] or most
    oracle = kind(**options)
    # What it writes there is nothing that a search reads; its own `reload` may count trials twice.
    oracle._set_project_dir(str(plan.folder), "keras_tuner")
    oracle.verbose = 0
    return oracle


class _BayesianOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """One whose random numbers are those of the trial, so that no other trial has to be repeated.

    A Gaussian process takes seconds for a trial. A start that repeats a hundred of them would take
    minutes.
    """

    # The values of the trial that is repeated.
    recorded = None

    def populate_space(self, trial_id):
        self._random_state = np.random.RandomState(self.seed + int(trial_id))
        ended = sum(trial.status == TrialStatus.COMPLETED for trial in self.trials.values())
        if self.recorded is not None and ended >= self.num_initial_points:
            return {"status": TrialStatus.RUNNING, "values": dict(self.recorded)}
        return super().populate_space(trial_id)


class Known(NamedTuple):
    """A trial that has begun: its values (dict), and its Result or None."""

    values: dict
    result: object


class SharedOracle:
    """Gives out trials and takes their results, for one worker or many, over any number of starts.

    It has the methods that keras-tuner's gRPC service calls. Each trial that is begun and each that
    has ended is an event of the journal. A new start makes the same calls in the same order, so the
    oracle is in the very state it had, random numbers too. keras-tuner's own files do not have the
    state of a GridSearch or a BayesianOptimization whole, and count a trial twice that was killed
    between two of them.

    Args:
        oracle: keras_tuner.Oracle, new.
        journal: Journal.
        plan: Plan.
        on_end: callable or None. Called with the plan and this oracle when a trial has ended.
    Attributes:
        trials: dict of trial id to Known, in the order in which they were begun.
        ended: list of trial ids, in the order in which they ended.
        failure: str or None. Why the search was stopped, if failed trials stopped it.
    """

    def __init__(self, oracle, journal, plan, on_end=None):
        self._oracle, self._journal, self._plan = oracle, journal, plan
        self._on_end = on_end
        self._lock = threading.RLock()
        self.trials, self.ended, self.failure = {}, [], None
        # Of each worker the trial that it runs, and trials whose worker is gone.
        self._running, self._waiting = {}, []
        self._beats = {}
        self.workers = set()
        self.is_over = False
        self._num_old = 0
        for event in list(journal.events):
            if event["event"] == "begin":
                self._begin(event["trial"], event["values"])
                self._waiting.append(event["trial"])
            else:
                self._end(event["trial"], self._read(event["trial"]))
        for trial_id in list(self._waiting):
            # It ended after the last line of the journal was written.
            if self._folder(trial_id).read_result() is not None:
                self._finish(trial_id)
        # What failed in an earlier start may have been mended.
        self._num_old, self.failure = len(self.ended), None

    def _folder(self, trial_id):
        return TrialFolder(self._plan.folder, trial_id)

    def _read(self, trial_id):
        result = self._folder(trial_id).read_result()
        if result is None:
            raise ValueError(
                f"`run_dir` must have the result of each trial that ended. Received: "
                f"{str(self._plan.folder)!r}, where that of trial {trial_id} is missing."
            )
        return result

    # What keras-tuner's service calls

    def get_space(self):
        return self._oracle.get_space()

    def update_space(self, hyperparameters):
        """Nothing: the space is known from the beginning."""

    def get_trial(self, trial_id):
        return self._oracle.get_trial(trial_id)

    def get_best_trials(self, num_trials=1):
        return self._oracle.get_best_trials(num_trials)

    def create_trial(self, tuner_id):
        """The next trial of a worker: the one that it has not ended, or one left by another."""
        with self._lock:
            self.workers.add(tuner_id)
            self._take_back()
            trial_id = self._running.get(tuner_id)
            if trial_id is None and self.failure is None:
                trial_id = self._waiting.pop(0) if self._waiting else self._ask()
            if trial_id is None:
                return self._stop(tuner_id)
            self._running[tuner_id] = trial_id
            return self._oracle.get_trial(trial_id)

    def _take_back(self):
        """Lets others have the trials of workers that show no sign of life."""
        now = time.monotonic()
        for name, trial_id in list(self._running.items()):
            beat, seen = self._folder(trial_id).read_beat(), self._beats.get(trial_id)
            if seen is None or seen[0] != beat:
                self._beats[trial_id] = beat, now
            elif now - seen[1] > self._plan.recipe["search.lost_seconds"]:
                del self._running[name], self._beats[trial_id]
                self.workers.discard(name)
                self._waiting.append(trial_id)

    def _find_failure(self):
        count, limit = 0, self._plan.recipe["search.max_failures"]
        for trial_id in reversed(self.ended[self._num_old :]):
            result = self.trials[trial_id].result
            if result.status == SKIPPED:
                continue
            if result.status != FAILED:
                return None
            count += 1
            if count == limit:
                return f"{count} trials failed one after the other. The last one: {result.reason}"
        return None

    def _stop(self, tuner_id):
        if self._running and self.failure is None:
            # What they find may be worth another trial, and one of them may be given up.
            return Trial(self._oracle.get_space(), "idle", TrialStatus.IDLE)
        self.is_over = True
        self.workers.discard(tuner_id)
        return Trial(self._oracle.get_space(), "stopped", TrialStatus.STOPPED)

    def _ask(self):
        """The id of a new trial; None if there is none now, or none any more."""
        limit = self._plan.max_trials
        if limit is not None:
            skipped = sum(
                known.result is not None and known.result.status == SKIPPED
                for known in self.trials.values()
            )
            if len(self.trials) - min(skipped, _MOST_SKIPPED * limit) >= limit:
                return None
        # One name for each trial: keras-tuner gives a worker that asks again the trial it has.
        trial = self._oracle.create_trial(f"{len(self.trials)}")
        if trial.status != TrialStatus.RUNNING:
            return None
        values = dict(trial.hyperparameters.values)
        self.trials[trial.trial_id] = Known(values, None)
        self._journal.write(event="begin", trial=trial.trial_id, values=values)
        return trial.trial_id

    def update_trial(self, trial_id, metrics, step=0):
        """Nothing: the metrics of a trial are in its folder, and count once when it ends."""
        return self._oracle.get_trial(trial_id)

    def end_trial(self, trial):
        """Takes the result of a trial; a second one of the same trial is nothing."""
        with self._lock:
            self._running = {
                name: each for name, each in self._running.items() if each != trial.trial_id
            }
            self._finish(trial.trial_id)

    # Begin and end, by a worker or by the journal

    def _begin(self, trial_id, values):
        self._oracle.recorded = values
        trial = self._oracle.create_trial(f"{len(self.trials)}")
        self._oracle.recorded = None
        if trial.trial_id != trial_id or trial.status != TrialStatus.RUNNING:
            raise ValueError(
                f"`run_dir` must have trials of this version of keras-tuner. Received: "
                f"{str(self._plan.folder)!r}, whose trial {trial_id} it would not begin again. "
                "Choose another `run_dir`."
            )
        trial.hyperparameters.values = dict(values)
        self.trials[trial_id] = Known(dict(values), None)

    def _finish(self, trial_id):
        if self.trials[trial_id].result is not None:
            return
        result = self._read(trial_id)
        if result.is_refused and not any(
            known.result is not None and known.result.has_score for known in self.trials.values()
        ):
            # Most likely the recipe or the data are wrong. It is tried again in the next start.
            self.failure = result.reason
            self._folder(trial_id).remove_result()
            if trial_id not in self._waiting:
                self._waiting.append(trial_id)
            return
        self._journal.write(event="end", trial=trial_id, status=result.status)
        self._end(trial_id, result)
        if self._on_end is not None:
            self._on_end(self._plan, self)

    def _end(self, trial_id, result):
        trial = self._oracle.get_trial(trial_id)
        self.trials[trial_id] = self.trials[trial_id]._replace(result=result)
        self.ended.append(trial_id)
        if trial_id in self._waiting:
            self._waiting.remove(trial_id)
        if result.has_score:
            self._oracle.update_trial(trial_id, result.metrics, step=result.epoch or 0)
            trial.status = TrialStatus.COMPLETED
        else:
            trial.status, trial.message = TrialStatus.FAILED, result.reason
        self._oracle.end_trial(trial)
        if self.failure is None:
            self.failure = self._find_failure()

    # For reports

    def rank(self):
        """list of trial ids that have a score, the best first; of equals the earlier one."""
        with self._lock:
            found = [name for name in self.ended if self.trials[name].result.has_score]
            sign = 1 if self._plan.direction == "min" else -1
            order = {name: index for index, name in enumerate(self.trials)}
            objective = self._plan.objective
            return sorted(
                found,
                key=lambda name: (sign * self.trials[name].result.metrics[objective], order[name]),
            )

    def list_running(self):
        """dict of the name of a worker to the id of the trial that it runs."""
        with self._lock:
            return dict(self._running)

    def list_histories(self):
        """The objective at each validation of each ended trial, list of lists of float."""
        with self._lock:
            results = [self.trials[name].result for name in self.ended]
        objective = self._plan.objective
        rows = [[epoch.get(objective) for epoch in result.history] for result in results]
        return [row for row in rows if row and None not in row]
