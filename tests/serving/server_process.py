"""A server in a process of its own, on a free port of the loopback address."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
_PATIENCE_SECONDS = 120


class Server:
    """A running server; `ask` sends one request.

    Args:
        process: subprocess.Popen whose first line of output is its address.
        log: pathlib.Path. What it writes to stderr.
        token: str or None.
    """

    def __init__(self, process, log, token=None):
        self.process = process
        self.log = log
        self.token = token
        self.url = process.stdout.readline().strip()
        assert self.url.startswith("http://"), log.read_text()

    def ask(self, path, body=None, headers=None, timeout=60):
        """(status, content): JSON where it is some, else a str."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **(headers or {})}
        if self.token is not None:
            headers.setdefault("authorization", f"Bearer {self.token}")
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def wait_until(self, condition, seconds=_PATIENCE_SECONDS):
        """Asks `condition()` until it is true, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            if condition():
                return
            time.sleep(0.1)
        raise AssertionError(f"It did not happen: {self.log.read_text()[-3000:]}")

    def wait_until_ready(self):
        self.wait_until(lambda: self.ask("/readyz")[0] == 200)

    def events(self):
        """What it has logged, as dicts."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextlib.contextmanager
def run_server(models, folder, *arguments, token=None):
    """A server of the folder `models`; it logs into `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if token is not None:
        environment["LMZOO_SERVE_TOKEN"] = token
    log = folder / "log"
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lmzoo.cli", "serve", str(models), "--port", "0"),
                *("--poll-seconds", "0.3", *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment,
            text=True,
        )
        try:
            yield Server(process, log, token)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
