"""Python in processes of their own, some with TensorFlow quiet and its sums in one order."""

import contextlib
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


@contextlib.contextmanager
def started_children():
    """Yields a function that starts Python with pipes; none of its processes outlives the context.

    It takes the command line after the interpreter, and arguments of `subprocess.Popen`.
    """
    children = []

    def start(*arguments, **options):
        command = [sys.executable, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
        child = subprocess.Popen(command, **pipes, **options)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
