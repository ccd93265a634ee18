"""What `lmzoo bench` and the reports of runs measure."""

import subprocess
import sys

import pytest

PARENT = """
import subprocess, sys

held = bytearray(400_000_000)
held[::4096] = b"x" * len(held[::4096])
print(subprocess.run([sys.executable, "-c", sys.argv[1]], check=True, capture_output=True).stdout)
"""
CHILD = """
from lmzoo.runtime.measuring import read_peak_memory

held = bytearray(50_000_000)
held[::4096] = b"x" * len(held[::4096])
del held
print(read_peak_memory())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it begins with the process anyway")
def test_the_peak_is_that_of_the_process_and_not_of_its_parent():
    command = [sys.executable, "-c", PARENT, CHILD]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert 50_000_000 < int(found.stdout.strip("b'\\n\n")) < 300_000_000
