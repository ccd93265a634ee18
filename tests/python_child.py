"""Python code in a process of its own, with TensorFlow quiet and its sums in one order."""

import json
import os
import pathlib
import subprocess
import sys


def run_script(code, *arguments):
    """What the last line that a script prints says in JSON."""
    child = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])
