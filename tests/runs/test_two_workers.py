"""`lmzoo train --workers 2` against one process, and when a worker is killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
RECIPE = """\
[data]
files = ["{folder}/text.txt"]
sequence_length = 16
batch_size = 6
options = {{ cache_dir = "{folder}/cache" }}
[validation]
split = 0.2
every_steps = 10
[tokenizer]
kind = "ByteTokenizer"
[model]
task = "CausalLM"
backbone = "GPTBackbone"
backbone_options = {{ num_layers = 1, num_heads = 2, hidden_dim = 8 }}
[optimizer]
learning_rate = 0.01
global_clipnorm = 0.1
[training]
steps = 20
[checkpoints]
every_steps = 2
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 40)
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(folder=folder))
    return path


def start(recipe, run_dir, *arguments):
    command = [
        sys.executable,
        "-m",
        "lmzoo.cli",
        "train",
        str(recipe),
        "--set",
        f"run_dir={run_dir}",
    ]
    return subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def read_losses(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 21))
    return [[line["loss"], line["gradient_norm"], line["tokens"]] for line in lines]


@pytest.fixture(scope="module")
def one(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    child = start(recipe, folder)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err[-3000:]
    return read_losses(folder)


def test_two_workers_have_the_losses_of_one_process(recipe, one, tmp_path):
    child = start(recipe, tmp_path, "--workers", "2")
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err[-3000:]
    np.testing.assert_allclose(read_losses(tmp_path), one, rtol=1e-5)
    # The chief alone shows progress and writes a report.
    assert err.count("step 20/20") == 1
    assert json.loads((tmp_path / "report.json").read_text())["steps"] == 20


def test_when_a_worker_is_killed_the_other_ends_and_both_go_on(recipe, one, tmp_path):
    child = start(recipe, tmp_path, "--workers", "2")
    end = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoints/step-*")):
        assert time.monotonic() < end and child.poll() is None, child.communicate()[1][-3000:]
        time.sleep(0.1)
    listed = subprocess.run(
        ["pgrep", "-P", str(child.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(listed.stdout.split()[-1]), signal.SIGKILL)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 128 + signal.SIGKILL, err[-3000:]
    child = start(recipe, tmp_path, "--workers", "2")
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err[-3000:]
    np.testing.assert_allclose(read_losses(tmp_path), one, rtol=1e-5)
