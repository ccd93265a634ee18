"""Converts SavedModels in one child process for all tests, which imports TensorFlow once.

In the process of the tests, which holds many traced functions, one conversion waited for 56 s.
"""

import atexit
import functools
import json
import subprocess
import sys

from lmzoo.export.litert import conversion, converter_process

__all__ = ["SharedConverter"]


class SharedConverter:
    """Stands for `ConverterProcess`, whose process converts once."""

    def __enter__(self):
        # It imports TensorFlow while the test traces.
        _start()
        return self

    def __exit__(self, *error):
        pass

    def convert(self, saved_model, signatures, out, progress=None):
        process = _start()
        request = {"saved_model": str(saved_model), "signatures": signatures, "out": str(out)}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if answer == "\n":
            return out.read_bytes()
        raise conversion.make_error(json.loads(answer))


@functools.cache
def _start():
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdin.write(converter_process.__file__ + "\n")
    atexit.register(process.communicate)
    return process


# It ends when its standard input is closed. The converter's own words go to the error stream.
_SCRIPT = """
import json, os, runpy, sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
convert = runpy.run_path(sys.stdin.readline().strip())["convert"]
import tensorflow
for line in sys.stdin:
    request = json.loads(line)
    answer = ""
    try:
        content = convert(request["saved_model"], request["signatures"])
        with open(request["out"], "wb") as file:
            file.write(content)
    except Exception as error:
        answer = json.dumps(str(error))
    print(answer, file=answers, flush=True)
"""
