"""The command line in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
CODE = """
import json, sys
from lmzoo.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as stopped:
    code = stopped.code or 0
print(json.dumps([code, sorted(sys.modules)]))
"""


def run_child(*arguments):
    """The exit code, the names of the modules imported, and the finished process."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    code, modules = json.loads(child.stdout.splitlines()[-1])
    return code, set(modules), child
