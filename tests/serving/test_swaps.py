"""Versions that come, go, are broken, and processes that die."""

import os
import shutil
import signal
import subprocess
import threading

import pytest

from tests.serving.server_process import run_server

pytestmark = pytest.mark.slow


def find_workers(server):
    """The ids of the processes that have a model open."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


@pytest.fixture
def folder(tmp_path, classifier):
    classifier.export(tmp_path / "models" / "films" / "1")
    return tmp_path / "models" / "films"


@pytest.fixture
def running(folder, tmp_path):
    with run_server(folder.parent, tmp_path) as server:
        server.wait_until_ready()
        yield server


class Load(threading.Thread):
    """Asks again and again, and keeps what was not answered well."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.failures, self.count, self.ends = [], 0, threading.Event()

    def run(self):
        while not self.ends.is_set():
            status, found = self.server.ask(
                "/v1/models/films:predict", {"instances": ["Paris", "lamb"]}
            )
            self.count += 1
            if status != 200 or len(found["predictions"]) != 2:
                self.failures.append((status, found))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.ends.set()
        self.join(60)


def get_versions(server):
    found = server.ask("/v1/models/films")[1]["model_version_status"]
    return {int(one["version"]): one["state"] for one in found}


def test_a_new_version_takes_over_and_a_broken_one_does_not(running, folder, tmp_path):
    with Load(running) as load:
        shutil.copytree(folder / "1", tmp_path / "new")
        (tmp_path / "new").rename(folder / "2")
        running.wait_until(lambda: get_versions(running) == {2: "AVAILABLE"})
        # Its weights are cut short.
        shutil.copytree(folder / "1", tmp_path / "new")
        data = next((tmp_path / "new" / "variables").glob("*.data*"))
        os.truncate(data, data.stat().st_size // 2)
        (tmp_path / "new").rename(folder / "3")
        running.wait_until(lambda: get_versions(running) == {3: "END", 2: "AVAILABLE"})
        # The one that answers is removed: the one before it comes back.
        shutil.rmtree(folder / "3")
        shutil.rmtree(folder / "2")
        running.wait_until(lambda: get_versions(running) == {1: "AVAILABLE"})
    assert load.count > 10
    assert load.failures == []


def test_a_process_that_is_killed_is_answered_and_healed(running, folder):
    (worker,) = find_workers(running)
    with Load(running) as load:
        os.kill(worker, signal.SIGKILL)
        running.wait_until(lambda: find_workers(running) not in ([worker], []))
        running.wait_until(lambda: get_versions(running) == {1: "AVAILABLE"})
    assert load.count >= 1
    # What it was asked when it died is asked once more of its successor.
    assert load.failures == []
    assert any(event["event"] == "worker_lost" for event in running.events())


def test_processes_end_with_the_server(running):
    workers = find_workers(running)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait(10)
    for worker in workers:
        for _ in range(200):
            if not os.path.exists(f"/proc/{worker}"):
                break
            threading.Event().wait(0.1)
        assert not os.path.exists(f"/proc/{worker}")
