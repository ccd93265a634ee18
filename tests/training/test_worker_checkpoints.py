"""`Checkpoint` over two processes: killed, ended by a signal, or with one that does not come."""

import json
import pathlib
import signal
import time

import pytest

from tests.worker_processes import Workers

CHILD = """
import json, os, pathlib, signal, sys
import keras
import lmzoo

work, folder, victim, number, count = sys.argv[1:]
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
strategy = lmzoo.training.multi_worker_strategy(wait_seconds=100)
work = pathlib.Path(work)
keras.utils.set_random_seed(1)
tokenizer = lmzoo.tokenizers.ByteTokenizer()
with strategy.scope():
    backbone = lmzoo.models.GPTBackbone(
        tokenizer.vocabulary_size, 1, 2, 8, max_sequence_length=16, dropout=0.2
    )
    lm = lmzoo.tasks.CausalLM(backbone, tokenizer)
    lm.compile(lmzoo.training.AdamW(1e-2, global_clipnorm=0.5, use_ema=True, ema_momentum=0.9))


def make_data(seed):
    # Each worker on a host of its own has a cache of its own.
    return lmzoo.data.causal_lm(
        [str(work / "text.txt")], tokenizer, sequence_length=16, batch_size=12, seed=seed,
        cache_dir=work / f"cache-{index}", verbose=False,
    )


log = open(f"{folder}.log-{index}", "a")
calls = 0


class Recorder(keras.callbacks.Callback):
    is_stateless = True

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        global calls
        calls += 1
        print(json.dumps([self.epoch, batch, float(logs["loss"]).hex()]), file=log, flush=True)
        if calls == int(count) and index == int(victim):
            os.kill(os.getpid(), int(number))

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value).hex() for name, value in logs.items()}
        print(json.dumps([epoch, "end", values]), file=log, flush=True)


callbacks = [
    keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=1.0),
    Recorder(),
    lmzoo.training.Checkpoint(folder, every_steps=2, every_seconds=None),
]
lm.fit(make_data(3), epochs=3, verbose=0, validation_data=make_data(4), callbacks=callbacks)
print(json.dumps([weight.numpy().tobytes().hex() for weight in lm.weights]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    (work / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    return work


def start(work, folder, victim=-1, number=0, count=0):
    return Workers(CHILD, [work, folder, victim, int(number), count])


def finish(work, folder):
    """Runs both workers to the end: the records of the run by worker, and its weights."""
    with start(work, folder) as workers:
        codes = workers.wait()
        assert codes == [0, 0], [workers.read(index)[1][-2000:] for index in range(2)]
        weights = [workers.read(index)[0].splitlines()[-1] for index in range(2)]
    return [read_log(folder, index) for index in range(2)], weights


def read_log(folder, index):
    """Every record by epoch and batch; a step that ran twice must have given the same twice."""
    records = {}
    for line in pathlib.Path(f"{folder}.log-{index}").read_text().splitlines():
        epoch, batch, value = json.loads(line)
        assert records.setdefault((epoch, batch), value) == value, (epoch, batch)
    return records


@pytest.fixture(scope="module")
def whole(work):
    records, weights = finish(work, work / "whole")
    assert records[0] == records[1] and weights[0] == weights[1]
    assert finish(work, work / "control") == (records, weights), "two untouched runs"
    return records, weights


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_ends_the_other_and_the_run_goes_on_bit_for_bit(work, whole, victim):
    folder = work / f"killed-{victim}"
    with start(work, folder, victim, signal.SIGKILL, 7) as workers:
        assert workers.wait(indices=[victim]) == [-signal.SIGKILL]
        begun = time.monotonic()
        [code] = workers.wait(60, indices=[1 - victim])
        print(f"The other ended after {time.monotonic() - begun:.1f} s.")
        assert code not in (0, None)
        errors = workers.read(1 - victim)[1]
    assert "Received: another worker that ended" in errors, errors[-3000:]
    assert list(folder.glob("step-*"))
    assert finish(work, folder) == whole


@pytest.mark.parametrize("victim", [0, 1])
def test_a_signal_to_one_worker_saves_and_ends_both(work, whole, victim):
    folder = work / f"ended-{victim}"
    with start(work, folder, victim, signal.SIGTERM, 7) as workers:
        # Seven steps and the end of an epoch: then the signal comes.
        log = pathlib.Path(f"{folder}.log-{victim}")
        while not log.exists() or len(log.read_text().splitlines()) < 8:
            time.sleep(0.1)
        codes = workers.wait(10)
        errors = [workers.read(index)[1] for index in range(2)]
    assert codes == [128 + signal.SIGTERM] * 2, errors
    assert "Ended by SIGTERM, saved as" in errors[0]
    assert finish(work, folder) == whole
