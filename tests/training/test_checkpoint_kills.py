"""Processes killed by SIGKILL, at named moments and at random ones, and run again to the end."""

import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

CHILD = """
import json, os, pathlib, signal, sys, threading, types
import keras
import lmzoo
from lmzoo import files
from lmzoo.data.objectives import stream_examples
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.training import AdamW, Checkpoint, checkpoint_store

work, folder, policy, point, count = sys.argv[1:]
work, count = pathlib.Path(work), float(count)
calls = 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before(owner, name):
    # Kills the process at one call of a function.
    inner = getattr(owner, name)

    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == count:
            die()
        return inner(*args, **kwargs)

    setattr(owner, name, call)


def dies_after(owner, name):
    inner = getattr(owner, name)

    def call(*args, **kwargs):
        global calls
        result = inner(*args, **kwargs)
        calls += 1
        if calls == count:
            die()
        return result

    setattr(owner, name, call)


if point == "before write":
    dies_before(checkpoint_store.CheckpointStore, "write")
elif point == "in mid-file":
    iterate_file = checkpoint_store.iterate_file

    def stop_halfway(*args, **kwargs):
        global calls
        calls += 1
        chunks = list(iterate_file(*args, **kwargs))
        if calls == count:
            yield from chunks[: len(chunks) // 2]
            die()
        yield from chunks

    checkpoint_store.iterate_file = stop_halfway
elif point == "before fsync":
    dies_before(files, "_flush")
elif point == "before manifest":
    dies_before(pathlib.Path, "write_text")
elif point == "before rename":
    dies_before(files, "_rename_new")
elif point == "after rename":
    dies_after(files, "_rename_new")
elif point == "while pruning":
    dies_before(checkpoint_store.shutil, "rmtree")

elif point == "while fetching":
    make_dataset = stream_examples.step_dataset

    def step_dataset(fetch, *args, **kwargs):
        counted = types.SimpleNamespace(fetch=fetch)
        dies_before(counted, "fetch")
        return make_dataset(lambda step: counted.fetch(step), *args, **kwargs)

    stream_examples.step_dataset = step_dataset

keras.utils.set_random_seed(1)
tokenizer = lmzoo.tokenizers.ByteTokenizer()
backbone = GPTBackbone(
    tokenizer.vocabulary_size, 1, 2, 8, max_sequence_length=16, dropout=0.2, dtype=policy
)
lm = CausalLM(backbone, tokenizer)
lm.compile(AdamW(1e-2, global_clipnorm=0.5))


def make_data(seed):
    return lmzoo.data.causal_lm(
        [str(work / "text.txt")], tokenizer, sequence_length=16, batch_size=12, seed=seed,
        cache_dir=work / "cache", verbose=False,
    )


log = open(folder + ".log", "a")


class Recorder(keras.callbacks.Callback):
    is_stateless = True

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        print(json.dumps([self.epoch, batch, float(logs["loss"]).hex()]), file=log, flush=True)
        if point == "random" and batch == 0 and self.epoch == 0:
            # Some milliseconds after the first step.
            threading.Timer(count / 1000, die).start()

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value).hex() for name, value in logs.items()}
        print(json.dumps([epoch, "end", values]), file=log, flush=True)


callbacks = [
    keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1.0),
    keras.callbacks.EarlyStopping(patience=5),
    Recorder(),
    Checkpoint(folder, every_steps=2, every_seconds=None, verbose=False),
]
lm.fit(make_data(3), epochs=3, verbose=0, validation_data=make_data(4), callbacks=callbacks)
print(json.dumps([weight.numpy().tobytes().hex() for weight in lm.weights]))
"""

POINTS = {
    "before write": 2,
    "in mid-file": 2,
    "before fsync": 5,
    "before manifest": 2,
    "before rename": 3,
    "after rename": 3,
    "while pruning": 4,
    "while fetching": 12,
}


def run(work, folder, policy, point="none", count=0):
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(work), str(folder), policy, point, str(count)],
        env={
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


def read_log(folder):
    """Every record by epoch and batch; a step that ran twice must have given the same twice."""
    records = {}
    for line in pathlib.Path(f"{folder}.log").read_text().splitlines():
        epoch, batch, value = json.loads(line)
        assert records.setdefault((epoch, batch), value) == value, (epoch, batch)
    return records


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def whole(request, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    (work / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    runs = []
    for name in ("one", "two"):
        child = run(work, work / name, request.param)
        assert child.returncode == 0, child.stderr[-2000:]
        runs.append((read_log(work / name), child.stdout.splitlines()[-1]))
    assert runs[0] == runs[1], "the control: two untouched runs"
    return work, request.param, *runs[0]


def check(whole, name, point, count):
    work, policy, records, weights = whole
    folder = work / name.replace(" ", "-")
    killed = run(work, folder, policy, point, count)
    assert killed.returncode == -9, (killed.returncode, killed.stderr[-2000:])
    child = run(work, folder, policy)
    assert child.returncode == 0, child.stderr[-2000:]
    assert read_log(folder) == records
    assert child.stdout.splitlines()[-1] == weights
    assert not list(folder.glob(".*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_changes_nothing(whole, point):
    check(whole, point, point, POINTS[point])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(15))
def test_a_kill_at_a_random_time_changes_nothing(whole, number):
    check(whole, f"random {number}", "random", random.Random(number).uniform(0, 900))
