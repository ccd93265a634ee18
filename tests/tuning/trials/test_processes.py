"""The process of a trial: whatever becomes of it, there is a result."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lmzoo.tuning.trials import Result, TrialFolder
from lmzoo.tuning.trials.processes import describe_exit, run_process


def run(tmp_path, code, **options):
    folder = TrialFolder(tmp_path, "0000")
    return run_process([sys.executable, "-c", code, str(tmp_path)], folder, **options), folder


WRITE = """
import sys, pathlib
from lmzoo.tuning.trials import Result, TrialFolder
TrialFolder(pathlib.Path(sys.argv[1]), "0000").write_result(Result("completed", metrics={"a": 1.0}))
"""


def test_a_process_gives_its_result(tmp_path):
    result, folder = run(tmp_path, WRITE)
    assert result == Result("completed", metrics={"a": 1.0}) == folder.read_result()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "memory ran out .SIGKILL."),
        ("import os; os.abort()", "crashed .SIGABRT."),
        ("print('half'); raise SystemExit('bad luck')", "exit code 1 .*bad luck"),
        ("pass", "exit code 0 and without a result; it said nothing"),
    ],
)
def test_a_process_without_a_result_has_failed(tmp_path, code, reason):
    result, folder = run(tmp_path, code)
    assert result.status == "failed" and not result.is_refused
    assert __import__("re").search(reason, result.reason), result.reason
    assert folder.read_result() == result


def test_a_process_that_takes_too_long_is_ended(tmp_path):
    polls = []
    result, folder = run(
        tmp_path, "import time; time.sleep(60)", seconds=0.3, on_poll=lambda: polls.append(1)
    )
    assert result.status == "failed" and result.reason == "longer than 0.3 seconds"
    assert polls and folder.read_beat() == 1


def test_a_worker_that_is_interrupted_asks_its_process_to_end(tmp_path):
    code = """
import pathlib, signal, sys, time
def stop(number, frame):
    (pathlib.Path(sys.argv[1]) / "saved").write_text("yes")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, stop)
(pathlib.Path(sys.argv[1]) / "ready").write_text("yes")
time.sleep(60)
"""

    def interrupt():
        if (tmp_path / "ready").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, code, on_poll=interrupt)
    assert (tmp_path / "saved").exists()
    assert TrialFolder(tmp_path, "0000").read_result() is None


def test_the_environment_of_a_trial_is_not_that_of_a_worker(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("TF_CONFIG", "{}")
    code = (
        "import os; raise SystemExit(' '.join(n for n in os.environ if n[:4] in ('KERA','TF_C')))"
    )
    result, _ = run(tmp_path, code)
    assert "KERASTUNER" not in result.reason and "TF_CONFIG" not in result.reason


def test_exit_codes_are_explained():
    assert "SIGSEGV" in describe_exit(-signal.SIGSEGV)
    assert describe_exit(-255) == "crashed (255)"


def test_a_trial_ends_with_its_worker(tmp_path):
    code = """
import subprocess, sys, time
child = "import sys; sys.path.insert(0, sys.argv[1])\\n"
child += "from lmzoo.tuning.trials.trial_process import _end_with_parent\\n"
child += "import os, time; _end_with_parent(); print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child, sys.argv[1]]).wait()
"""
    root = str(pathlib.Path(__file__).parents[3])
    worker = subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE, text=True)
    trial = int(worker.stdout.readline())
    worker.kill()
    worker.wait()
    # The pipe ends when the last process that has it does.
    assert worker.stdout.read() == ""
    worker.stdout.close()
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(trial, 0)
            if psutil.Process(trial).status() == psutil.STATUS_ZOMBIE:
                # Nobody reaps it, so its number stays.
                raise ProcessLookupError
            time.sleep(0.1)
