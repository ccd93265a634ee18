"""Runs over two devices and over two workers against one, and when a worker is killed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.python_child import run_script
from tests.runs.tiny_recipe import write_recipe

ROOT = pathlib.Path(__file__).parents[2]
VALUES = {
    "data.sequence_length": 16,
    "data.batch_size": 6,
    "validation.split": 0.2,
    "validation.every_steps": 10,
    "optimizer.learning_rate": 0.01,
    "optimizer.global_clipnorm": 0.1,
    "training.steps": 20,
    "checkpoints.every_steps": 2,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("workers"), num_sentences=40)


def start(recipe, run_dir, *arguments):
    command = [sys.executable, "-m", "lmzoo.cli", "train", str(recipe)]
    for key, value in {**VALUES, "run_dir": run_dir}.items():
        command += ["--set", f"{key}={value}"]
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


# Batches of 7 rows are uneven, and lengths of rows differ.
TWO_DEVICES = """
import json, sys
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import lmzoo
from lmzoo.runs import devices

folder, lines = sys.argv[1], {}
with open(f"{folder}/rows.jsonl", "w") as file:
    for number in range(40):
        label = ("blame", "praise")[number % 2]
        json.dump({"text": f"a {label} " + "x" * (number % 7), "label": label}, file)
        file.write("\\n")
for precision in ("float32", "mixed_float16"):
    for number in (1, 2):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]) if number == 2 else None
        devices.make_strategy = lambda recipe: strategy
        run = lmzoo.train(
            run_dir=f"{folder}/{precision}-{number}",
            data={"kind": "table", "files": f"{folder}/rows.jsonl", "batch_size": 7,
                  "options": {"label": "label"}},
            tokenizer={"kind": "ByteTokenizer"},
            model={"task": "TextClassifier", "backbone": "GPTBackbone", "backbone_options":
                   {"num_layers": 1, "num_heads": 2, "hidden_dim": 16,
                    "max_sequence_length": 32}},
            training={"steps": 6, "precision": precision},
        )
        file = (run.folder / "metrics.jsonl").read_text()
        lines[f"{precision}-{number}"] = [json.loads(line) for line in file.splitlines()]
        assert run.report["devices"] == f"{number} x CPU"
print(json.dumps(lines))
"""


def test_two_devices_have_the_numbers_of_one(tmp_path):
    lines = run_script(TWO_DEVICES, str(tmp_path))
    names = ("loss", "learning_rate", "gradient_norm")
    for precision, tolerance in (("float32", 1e-5), ("mixed_float16", 1e-3)):
        one, two = lines[f"{precision}-1"], lines[f"{precision}-2"]
        for name in names:
            found = [[line[name] for line in each] for each in (one, two)]
            np.testing.assert_allclose(*found, rtol=tolerance)
        for name in ("tokens", "loss_scale", "skipped_steps"):
            assert [line[name] for line in one] == [line[name] for line in two]
