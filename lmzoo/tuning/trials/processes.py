"""One fresh process for each trial, and what its end means."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from lmzoo.tuning.trials import FAILED, Result

__all__ = ["describe_exit", "make_command", "run_process"]

_POLL_SECONDS, _BEAT_SECONDS = 0.1, 5.0
# What a process may take to save its place once it is asked to end.
_PATIENCE_SECONDS = 60.0
_LAST_BYTES = 2000


def run_process(command, folder, seconds=None, on_poll=None):
    """Runs the process of a trial to its end.

    Its output goes to `log.txt`. It gets signals by way of this process alone: where this function
    is left by an exception, such as KeyboardInterrupt, it is asked to save its place and to end.

    Args:
        command: list of str.
        folder: TrialFolder. The process writes the result there.
        seconds: float or None. The longest time.
        on_poll: callable without arguments or None. Called a few times a second.
    Returns:
        Result: what the process wrote, or what is made of an end without a word. It is on the disk.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with folder.log.open("ab") as log:
        child = subprocess.Popen(
            command,
            env=_make_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        code = _wait(child, folder, None if seconds is None else begun + seconds, on_poll)
    finally:
        _end(child)
    result = folder.read_result()
    if result is None:
        reason = f"longer than {seconds:g} seconds" if code is None else None
        reason = reason or f"{describe_exit(code)}; {_read_last_line(folder.log)}"
        elapsed = time.monotonic() - begun
        result = Result(FAILED, reason, history=folder.read_history(), seconds=elapsed)
        folder.write_result(result)
        # It will not go on.
        shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
    return result


def _make_environment():
    """The environment of a trial: not that of a worker, and with this package."""
    hidden = ("KERASTUNER_", "TF_CONFIG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    root = str(pathlib.Path(__file__).parents[2])
    paths = [root, *filter(None, kept.get("PYTHONPATH", "").split(os.pathsep))]
    kept["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    kept.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return kept


def _wait(child, folder, end, on_poll):
    """The exit code; None where the time is over."""
    beat_at = 0.0
    while True:
        code = child.poll()
        if code is not None:
            return code
        now = time.monotonic()
        if end is not None and now > end:
            return None
        if now - beat_at > _BEAT_SECONDS:
            folder.beat()
            beat_at = now
        if on_poll is not None:
            on_poll()
        time.sleep(_POLL_SECONDS)


def _end(child):
    """Asks a process that still runs to end, and kills it if it does not."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def make_command(folder, trial_id):
    """The command of the process of a trial, list of str."""
    return [sys.executable, "-m", "lmzoo.tuning.trials.trial_process", str(folder), trial_id]


def describe_exit(code):
    """str. What the exit code of a process without a result means."""
    if code == -signal.SIGKILL:
        return "killed, most likely by the system as memory ran out (SIGKILL)"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"crashed ({name})"
    return f"ended with exit code {code} and without a result"


def _read_last_line(path):
    """str. The last words of a process."""
    data = path.read_bytes()[-_LAST_BYTES:]
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
