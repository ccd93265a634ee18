import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_every_process_collects_the_same_tests():
    """The runs of two workers are refused when a name holds an hour, a draw or a set's order."""
    collected = [
        subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", ""],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        for seed in ("1", "77")
    ]
    names = [[line for line in text.splitlines() if "::" in line] for text in collected]
    assert len(names[0]) > 5000
    assert names[0] == names[1]
