"""`lmzoo --help` answers at once, because it does not wait for TensorFlow."""

import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
CODE = """
import json, sys
from lmzoo.cli import main
try:
    main(["--help"])
    code = 0
except SystemExit as stopped:
    code = stopped.code or 0
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_help_answers_within_half_a_second_without_tensorflow():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        child = subprocess.run(
            [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        seconds.append(time.perf_counter() - start)
    assert child.returncode == 0, child.stderr
    *text, last = child.stdout.splitlines()
    code, modules = json.loads(last)
    assert code == 0
    assert "usage" in "\n".join(text).lower()
    assert not {"tensorflow", "keras", "tensorflow_text"} & set(modules)
    # The best of three: a busy machine says nothing about the program.
    assert min(seconds) < 0.5
