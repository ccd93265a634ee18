"""A search over recipes: trials in processes of their own, by one worker or by many."""

import contextlib
import io
import json
import os
import pathlib
import signal
import threading
import time
from typing import NamedTuple

from lmzoo.json_files import read_json, write_json
from lmzoo.tuning.plan import read_plan
from lmzoo.tuning.trials import TrialFolder
from lmzoo.tuning.trials.processes import make_command, run_process

__all__ = ["Search", "check_extra", "search"]

_IDLE_SECONDS = 0.5
# What keras-tuner's Hyperband says beside values of the space.
_PREFIX = "tuner/"
# More say no more about a median.
_MOST_HISTORIES = 200
_MAX_BYTES = 64 << 20


class Search(NamedTuple):
    """What `search` gives: the report (dict), the folder (path), and that of the best model or
    None."""

    report: dict
    folder: pathlib.Path
    best: pathlib.Path | None


def search(recipe=None, *, overrides=(), verbose=False, **sections):
    """Searches for the best recipe; called again, it goes on where it was.

    Each trial is a recipe of its own, trained in a process of its own. The folder of the search
    gets `trials/`, `journal.jsonl`, and at the end `report.json`, `report.html`, `report.png` and
    `best/`, which `lmzoo.load` opens.

    With keras-tuner's environment variables several processes share a search: KERASTUNER_ORACLE_IP
    and KERASTUNER_ORACLE_PORT are the address of the chief, and KERASTUNER_TUNER_ID is "chief" or
    the name of a worker. All of them make this call with the same recipe, and see the same folder.

    Args:
        recipe: str or path of a TOML file, dict in the form of one, or None. The README of
            `lmzoo/tuning` has its keys.
        overrides: list of str such as "search.max_trials=20", which win over all else.
        verbose: bool. Whether to show a table of the trials on stderr.
        **sections: values in the form of a recipe, which win over its own, such as
            `space={"learning_rate": [1e-4, 1e-3]}`.
    Returns:
        Search. Of a worker the report is empty.
    Raises:
        ImportError: if keras-tuner is not installed.
        OSError: if a file cannot be read or written.
        RuntimeError: if another process searches in the folder, if too many trials failed, or if
            none has a score.
        TimeoutError: of a worker, if the chief does not answer.
        ValueError: if a key or a value is wrong, in a message with file, line and key; or if the
            folder has a search of another recipe.
    Example:
        lmzoo.tuning.search("recipe.toml", search={"max_trials": 20})
    """
    check_extra()
    plan = read_plan(recipe, overrides, sections)
    plan.check_files()
    with _signals():
        role = find_role()
        if role == "worker":
            return _work_for_chief(plan)
        return _search_as_owner(plan, verbose, is_chief=role == "chief")


def check_extra():
    """Raises ImportError where keras-tuner is not installed."""
    import importlib.util

    if importlib.util.find_spec("keras_tuner") is None:
        raise ImportError(
            "`lmzoo.tuning` needs keras-tuner, which is not installed. Run `pip install "
            "lmzoo[tune]`."
        )


def find_role():
    """ "alone", "chief" or "worker", by keras-tuner's environment variables.

    Raises:
        ValueError: if some of them are missing, or the port is no port.
    """
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    given = {name: os.environ.get(name) for name in names}
    if not given["KERASTUNER_ORACLE_IP"]:
        return "alone"
    missing = [name for name in names if not given[name]]
    if missing:
        raise ValueError(
            f"The environment must have {', '.join(names)} together. Received: none for "
            f"{', '.join(missing)}."
        )
    port = given["KERASTUNER_ORACLE_PORT"]
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(
            f"KERASTUNER_ORACLE_PORT must be a port, from 1 to 65535. Received: {port!r:.60}."
        )
    return "chief" if "chief" in given["KERASTUNER_TUNER_ID"] else "worker"


@contextlib.contextmanager
def _signals():
    """A block in which SIGTERM ends as Ctrl-C does, with the trial's place saved."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _interrupt(number, frame):
    raise KeyboardInterrupt("ended by SIGTERM; the search goes on when it is started again")


def _search_as_owner(plan, verbose, is_chief):
    from lmzoo.tuning.journal import Journal
    from lmzoo.tuning.report import ending
    from lmzoo.tuning.report.table import TrialTable
    from lmzoo.tuning.shared_oracle import SharedOracle, make_oracle

    plan.prepare_folder()
    with Journal(plan.folder) as journal:
        oracle = SharedOracle(make_oracle(plan), journal, plan, ending.keep_best)
        with TrialTable(plan, oracle, verbose) as table:
            if is_chief:
                from lmzoo.tuning.distribution import serve

                with contextlib.redirect_stdout(io.StringIO()):
                    serve(oracle, table.update)
            else:
                work(oracle, plan, "tuner0", oracle.list_histories, table.update)
        return ending.finish(plan, oracle)


def _work_for_chief(plan):
    from lmzoo.tuning.distribution import connect

    plan.check_folder()
    client = connect(plan.recipe["search.chief_seconds"])
    name = os.environ["KERASTUNER_TUNER_ID"]
    # keras-tuner prints the values of conditions whenever it sends them.
    with contextlib.redirect_stdout(io.StringIO()):
        work(client, plan, name, lambda: read_histories(plan))
    return Search({}, plan.folder, None)


def work(oracle, plan, name, list_histories, on_poll=None):
    """Runs trials until the oracle has no more.

    Args:
        oracle: SharedOracle, or a client of one.
        plan: Plan.
        name: str. Of this worker.
        list_histories: callable. Gives the objective at each epoch of the trials that have ended.
        on_poll: callable without arguments, or None. Called a few times a second.
    """
    from keras_tuner.engine.trial import TrialStatus

    while True:
        trial = oracle.create_trial(name)
        if trial.status == TrialStatus.STOPPED:
            return
        if trial.status == TrialStatus.IDLE:
            if on_poll is not None:
                on_poll()
            time.sleep(_IDLE_SECONDS)
            continue
        folder = TrialFolder(plan.folder, trial.trial_id)
        write_request(plan, folder, name, trial.hyperparameters.values, list_histories())
        seconds = plan.recipe["search.trial_seconds"]
        command = make_command(plan.folder, trial.trial_id)
        result = run_process(command, folder, seconds, on_poll)
        if result.has_score:
            trial.status = TrialStatus.COMPLETED
            oracle.update_trial(trial.trial_id, result.metrics, step=result.epoch or 0)
        else:
            trial.status = TrialStatus.FAILED
        oracle.end_trial(trial)


def write_request(plan, folder, worker, values, histories):
    """Writes what the process of a trial needs to know.

    Args:
        plan: Plan.
        folder: TrialFolder.
        worker: str. Who runs the trial, for people.
        values: dict of the names of hyperparameters to what keras-tuner chose.
        histories: list of lists of float, the objective of other trials at each epoch.
    """
    limit = plan.recipe["search.memory_limit"]
    changes = {"worker": worker, "memory_limit": None if limit is None else 1e9 * limit}
    path = folder.path / "request.json"
    if path.exists():
        # A trial that was begun before goes on by the same rules.
        write_json(path, {**read_json(path, max_bytes=_MAX_BYTES), **changes})
        return
    resolved = plan.resolve(values)
    last, first = (values.get(f"{_PREFIX}{name}") for name in ("epochs", "initial_epoch"))
    past = values.get(f"{_PREFIX}trial_id")
    if past is not None and not TrialFolder(plan.folder, past).model.is_dir():
        # Its weights did not stay, so what it learned is learned again.
        past, first = None, 0
    epochs = None if last is None else last - (first or 0)
    trial_recipe = plan.make_trial_recipe(resolved, folder.path, epochs)
    prunes = plan.recipe["search.tuner"] != "Hyperband"
    request = {
        "values": trial_recipe.given,
        "places": trial_recipe.places,
        "name": trial_recipe.name,
        "trial": resolved,
        **changes,
        "past_trial": past,
        "rules": {
            "objective": plan.objective,
            "direction": plan.direction,
            "patience": plan.recipe["search.patience"],
            "prune_after": plan.recipe["search.prune_after"] if prunes else 0,
            "others": histories[-_MOST_HISTORIES:],
        },
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(path, json.loads(json.dumps(request)))


def read_histories(plan):
    """The objective at each epoch of the trials that have ended, as their folders have it."""
    rows = []
    for path in sorted((plan.folder / "trials").glob("*/result.json")):
        result = TrialFolder(plan.folder, path.parent.name).read_result()
        rows.append([epoch.get(plan.objective) for epoch in result.history])
    return [row for row in rows if row and None not in row]
