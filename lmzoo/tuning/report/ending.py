"""What is kept of a search: the best models while it runs, and its report at the end."""

import json
import os
import shutil

import lmzoo
from lmzoo.files import atomic_folder
from lmzoo.json_files import write_text
from lmzoo.tuning.driver import Search
from lmzoo.tuning.report.importance import measure_importance
from lmzoo.tuning.report.page import write_page
from lmzoo.tuning.report.plot import draw_search
from lmzoo.tuning.trials import FAILED, TrialFolder

__all__ = ["finish", "keep_best", "make_report"]

_SOURCE = "trial.txt"


def keep_best(plan, oracle):
    """Removes the models of all trials but the best ones, and puts the best one in `best/`.

    Args:
        plan: Plan. `search.keep` models stay.
        oracle: SharedOracle.
    """
    ranked, ended = oracle.rank(), list(oracle.ended)
    kept = set(ranked[: plan.recipe["search.keep"]])
    # A trial of Hyperband that has not ended begins with the weights of another one.
    kept |= {
        known.values.get("tuner/trial_id")
        for known in oracle.trials.values()
        if known.result is None
    }
    for trial_id in set(ended) - kept:
        shutil.rmtree(TrialFolder(plan.folder, trial_id).model, ignore_errors=True)
    if ranked:
        _refresh_best(plan.folder, ranked[0])


def _refresh_best(folder, trial_id):
    best, model = folder / "best", TrialFolder(folder, trial_id).model
    mark = best / _SOURCE
    if not model.is_dir() or (mark.exists() and mark.read_text() == trial_id):
        return
    with atomic_folder(best, overwrite=True) as new:
        shutil.copytree(model, new, copy_function=_link, dirs_exist_ok=True)
        (new / _SOURCE).write_text(trial_id)


def _link(source, target):
    """A second name for a file that nobody writes to; a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def finish(plan, oracle):
    """Writes the report, the pictures and `best/`.

    Args:
        plan: Plan.
        oracle: SharedOracle, of a search that is over.
    Returns:
        Search.
    Raises:
        RuntimeError: if failed trials stopped the search, or no trial has a score. The report is
            written before.
    """
    keep_best(plan, oracle)
    report = make_report(plan, oracle)
    write_text(plan.folder / "report.json", json.dumps(report, indent=2) + "\n")
    if report["best"] is not None:
        write_page(plan.folder / "report.html", report)
        draw_search(plan.folder / "report.png", report)
    if oracle.failure is not None:
        raise RuntimeError(f"{oracle.failure} See {str(plan.folder / 'trials')!r}.")
    if report["best"] is None:
        raise RuntimeError(
            f"A search must have a trial that ends well. Received: {len(report['trials'])} trials, "
            f"none of them. See {str(plan.folder / 'report.json')!r}."
        )
    best = plan.folder / "best"
    return Search(report, plan.folder, best if best.is_dir() else None)


def make_report(plan, oracle):
    """dict that JSON can hold: all trials in their order, the best one, and what mattered."""
    ranked = oracle.rank()
    ranks = {trial_id: rank for rank, trial_id in enumerate(ranked, 1)}
    trials = []
    for trial_id, known in oracle.trials.items():
        result = known.result
        if result is None:
            continue
        trials.append(
            {
                "trial": trial_id,
                "status": result.status,
                "reason": result.reason,
                "values": plan.list_searched(known.values),
                "objective": result.metrics.get(plan.objective),
                "rank": ranks.get(trial_id),
                "metrics": result.metrics,
                "epochs": len(result.history),
                "best_epoch": result.epoch,
                "parameters": result.parameters,
                "seconds": result.seconds,
            }
        )
    return {
        "objective": plan.objective,
        "direction": plan.direction,
        "tuner": plan.recipe["search.tuner"],
        "space": plan.space.describe(),
        "best": ranked[0] if ranked else None,
        "importance": measure_importance(trials),
        "failed": sum(trial["status"] == FAILED for trial in trials),
        "seconds": sum(trial["seconds"] for trial in trials),
        "trials": trials,
        "versions": {"lmzoo": lmzoo.__version__, **_find_versions()},
    }


def _find_versions():
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("keras-tuner", "keras")}
