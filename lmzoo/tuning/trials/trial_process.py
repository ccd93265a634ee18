"""The process of one trial: trains by the trial's recipe, and writes how it ended.

`python -m lmzoo.tuning.trials.trial_process FOLDER ID` is started by `processes.py` beside it, once
for each trial, so that the memory of a trial goes with it.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import sys
import threading
import time
import traceback

from lmzoo.json_files import read_json
from lmzoo.runs.recipe import Recipe
from lmzoo.tuning.trials import COMPLETED, FAILED, PRUNED, SKIPPED, Result, TrialFolder

__all__ = ["main", "run_trial"]

_SECONDS_TO_NOTICE = 0.5
_MEMORY_WORDS = ("oom", "out of memory", "bad_alloc", "resource exhausted", "failed to allocate")
_LONGEST_REASON = 600


def main(arguments):
    """Runs a trial as a process: the folder of the search and the id of the trial."""
    search_folder, trial_id = pathlib.Path(arguments[0]), arguments[1]
    _end_with_parent()
    folder = TrialFolder(search_folder, trial_id)
    with _held(folder.path / ".lock"):
        if folder.read_result() is None:
            folder.write_result(run_trial(search_folder, folder))
        # Until the result is on the disk a trial that is killed goes on from these.
        shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
    return 0


def _end_with_parent():
    """Ends this process soon after its parent, which may be killed without a word."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(_SECONDS_TO_NOTICE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _held(path):
    """A block that one process at a time is in; it waits for another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def run_trial(search_folder, folder):
    """Runs a trial in this process.

    Args:
        search_folder: pathlib.Path.
        folder: TrialFolder, with `request.json`.
    Returns:
        Result. No error of the training leaves this function.
    """
    begun = time.monotonic()
    request = read_json(folder.path / "request.json", max_bytes=64 << 20)
    recipe = Recipe(request["values"], request["places"], request["name"])
    run = None
    try:
        recipe = _share_tokenizer(recipe, search_folder)
        reason = _find_reason_to_skip(recipe, request["memory_limit"])
        if reason is not None:
            return Result(SKIPPED, reason, seconds=time.monotonic() - begun)
        run = _build(recipe, search_folder, request["past_trial"])
        _train(run, folder, request["rules"])
        result = _finish(run, folder, request["rules"])
    except Exception as error:
        result = explain_failure(error, is_refused=not folder.read_history())
    result.seconds = time.monotonic() - begun
    if run is not None:
        result.parameters = run.task.count_params()
    if not result.has_score:
        result.history = folder.read_history()
    return result


def explain_failure(error, is_refused=False):
    """The Result of a trial that ended by an exception."""
    text = f"{type(error).__name__}: {error}".strip()[:_LONGEST_REASON]
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    if is_memory or any(word in text.lower() for word in _MEMORY_WORDS):
        return Result(FAILED, f"out of memory ({text})")
    if isinstance(error, FloatingPointError):
        return Result(FAILED, f"not finite ({text})")
    is_refused = is_refused and isinstance(error, ValueError | TypeError | OSError | ImportError)
    return Result(FAILED, text, is_refused=is_refused)


def _share_tokenizer(recipe, search_folder):
    """The recipe with the tokenizer that the first trial trained and all of them have."""
    if "tokenizer.kind" not in recipe:
        return recipe
    from lmzoo.runs.building import build_tokenizer

    path = search_folder / "tokenizer"
    with _held(search_folder / ".tokenizer-lock"):
        build_tokenizer(recipe, path, is_chief=True)
    given = {key: recipe.given[key] for key in recipe.given if not key.startswith("tokenizer.")}
    given["tokenizer.source"] = str(path)
    return Recipe(given, recipe.places, recipe.name)


def _find_reason_to_skip(recipe, limit):
    """Why a trial would not fit, or None; `limit` in bytes, 0 for none, None for what is free."""
    from lmzoo.hub import find_folder
    from lmzoo.hub.files.tokenizers import load_tokenizer
    from lmzoo.tuning.trials.memory import estimate_training_memory, find_free_memory

    if limit == 0:
        return None
    if limit is None:
        free = find_free_memory()
        if free is None:
            return None
        limit = 0.9 * free
    size = None
    if "tokenizer.source" in recipe:
        tokenizer = load_tokenizer(find_folder(recipe["tokenizer.source"], weights=False), 1 << 31)
        size = tokenizer.vocabulary_size
    try:
        needed = estimate_training_memory(recipe, size)
    except Exception:
        # A wrong recipe is told by the run itself; what cannot be estimated is tried.
        traceback.print_exc()
        return None
    if needed <= limit:
        return None
    return f"it needs about {needed / 1e9:.3g} GB, of {limit / 1e9:.3g}"


def _build(recipe, search_folder, past_trial):
    from lmzoo.runs.driver import Run

    run = Run(recipe, writes=True)
    if past_trial is not None:
        from lmzoo.hub import load

        past = TrialFolder(search_folder, past_trial)
        if past.model.is_dir():
            dtype = run.task.dtype_policy.name
            run.task.set_weights(load(past.model, dtype=dtype).get_weights())
    return run


def _train(run, folder, rules):
    from lmzoo.training import Checkpoint
    from lmzoo.tuning.trials.trial_log import TrialLog, find_end

    history, checkpoints = folder.read_history(), run.folder / "checkpoints"
    newest = max(checkpoints.glob("step-*"), default=None)
    if history and newest is not None and find_end(history, rules) is not None:
        per_epoch = run.steps_per_epoch or run.data.num_steps
        if int(newest.name.partition("-")[2]) == len(history) * per_epoch:
            # It was killed after its last epoch and before it could say so.
            return
    options = {"monitor": rules["objective"], "mode": rules["direction"], "keep": 1}
    checkpoint = Checkpoint(checkpoints, verbose=False, **options)
    run.fit([TrialLog(folder, rules), checkpoint])


def _finish(run, folder, rules):
    from lmzoo.tuning.trials.trial_log import find_best_epoch, find_end

    history = folder.read_history()
    objective = rules["objective"]
    best = find_best_epoch([epoch[objective] for epoch in history], rules["direction"])
    num_epochs = run.num_steps // (run.steps_per_epoch or run.data.num_steps)
    end = COMPLETED if len(history) == num_epochs else find_end(history, rules)
    reason = "worse than the median of the trials before it" if end == PRUNED else None
    saved = run.folder / "checkpoints" / "best"
    if saved.is_dir():
        shutil.rmtree(folder.model, ignore_errors=True)
        saved.rename(folder.model)
    return Result(end, reason, history[best], best, history)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
