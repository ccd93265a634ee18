"""The entry of the process; see `lmzoo/serving/worker/process.py`."""

import sys

from lmzoo.serving.worker.process import run

__all__ = []

if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
