"""Several workers on one machine."""

import json
import sys
import time

import pytest

from lmzoo.runs.local_workers import run_workers

WORKER = """
import json, os, pathlib, sys, time

config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
pathlib.Path(sys.argv[1], f"{index}.json").write_text(json.dumps(config))
if sys.argv[2] == "fail" and index == 1:
    sys.exit(3)
if sys.argv[2] == "fail":
    time.sleep(600)
"""


def run(folder, mode, **options):
    return run_workers([sys.executable, "-c", WORKER, str(folder), mode], 2, **options)


def test_each_worker_gets_its_own_index_and_the_same_addresses(tmp_path):
    assert run(tmp_path, "end") == 0
    configs = [json.loads((tmp_path / f"{index}.json").read_text()) for index in (0, 1)]
    assert [config["task"] for config in configs] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
    ]
    assert configs[0]["cluster"] == configs[1]["cluster"]
    addresses = configs[0]["cluster"]["worker"]
    assert len(set(addresses)) == 2
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_worker_that_fails_ends_the_others(tmp_path):
    begun = time.monotonic()
    assert run(tmp_path, "fail", grace_seconds=0.5) == 3
    assert time.monotonic() - begun < 60


def test_wrong_use_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="at least 1. Received: 0"):
        run_workers(["true"], 0)
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="TF_CONFIG must not be set .* Received: '{}'"):
        run_workers(["true"], 2)
