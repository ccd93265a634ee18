"""Several worker processes on this machine, which find each other by TF_CONFIG."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time


def find_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Workers:
    """Processes that run the same code. Their output goes to files, so that no pipe fills up.

    Args:
        code: str, Python.
        arguments: list of str.
        num_workers: int. 0 for one process without TF_CONFIG.
    """

    def __init__(self, code, arguments, num_workers=2):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in find_ports(num_workers)]}
        self.files, self.children = [], []
        for index in range(max(1, num_workers)):
            task = {"type": "worker", "index": index}
            config = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
            self.start(code, arguments, config if num_workers else {})

    def start(self, code, arguments, config):
        files = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
            **config,
        }
        command = [sys.executable, "-c", code, *map(str, arguments)]
        child = subprocess.Popen(command, env=environment, stdout=files[0], stderr=files[1])
        self.files.append(files)
        self.children.append(child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()
        for out, errors in self.files:
            out.close()
            errors.close()

    def wait(self, seconds=300, indices=None):
        """The exit codes; AssertionError with the output of those that do not end in time."""
        indices = range(len(self.children)) if indices is None else indices
        end = time.monotonic() + seconds
        for index in indices:
            try:
                self.children[index].wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(
                    f"worker {index} still runs: {self.read(index)[1][-2000:]}"
                ) from None
        return [self.children[index].returncode for index in indices]

    def read(self, index):
        """What a worker wrote so far: standard output, standard error."""
        texts = []
        for file in self.files[index]:
            texts.append(os.pread(file.fileno(), 1 << 24, 0).decode("utf-8", "replace"))
        return texts


def run_workers(code, arguments, num_workers=2, seconds=300):
    """What the last line that each worker prints says in JSON."""
    with Workers(code, arguments, num_workers) as workers:
        codes = workers.wait(seconds)
        outputs = [workers.read(index) for index in range(len(codes))]
    for returncode, (_, errors) in zip(codes, outputs, strict=True):
        assert returncode == 0, (codes, errors[-3000:])
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]
