"""The estimate of a training step's memory, beside the peak of a process that makes the step."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, MaskedLM, Seq2SeqLM, TextClassifier, TextEmbedder
from lmzoo.training import describe_batch, estimate_memory

ROOT = pathlib.Path(__file__).parents[2]
GPT = {"num_layers": 2, "num_heads": 2, "hidden_dim": 64, "max_sequence_length": 256}

# Trains two steps of the task that its arguments describe, and prints both numbers.
CHILD = """
import json, pathlib, re, sys
import numpy as np, tensorflow as tf
import lmzoo
from lmzoo.training import describe_batch, estimate_memory

# The order in which operations run decides what is there at once.
tf.config.threading.set_inter_op_parallelism_threads(2)
name, backbone, options, batch_size, length, parts = json.loads(sys.argv[1])


def make():
    task = getattr(lmzoo.tasks, name)(getattr(lmzoo.models, backbone)(**options))
    task.compile(gradient_accumulation_steps=parts)
    return task


estimate = estimate_memory(make, lambda task: describe_batch(task, batch_size, length), parts)
task = make()
batch = tf.nest.map_structure(
    lambda spec: tf.cast(tf.ones(spec.shape, tf.int32), spec.dtype),
    describe_batch(task, batch_size, length),
)
for _ in range(2):
    task.train_on_batch(*batch)
# Not `ru_maxrss`: it is at least what the parent had when it started this process.
status = pathlib.Path("/proc/self/status").read_text()
print(json.dumps([estimate, int(re.search("VmHWM:[^0-9]*([0-9]+)", status)[1]) * 1024]))
"""


def measure(*arguments):
    """The estimate of a child process, dict, and its peak in bytes."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


SIZES = {"vocabulary_size": 8000, "num_layers": 4, "num_heads": 8, "hidden_dim": 512}
LARGE = {**SIZES, "vocabulary_size": 30522, "hidden_dim": 768, "num_heads": 12}
T5 = {**SIZES, "num_layers": 2, "head_dim": 64, "vocabulary_size": 32128, "dropout": 0.1}


@pytest.mark.skipif(
    sys.platform != "linux", reason="reads the memory of a process as Linux says it"
)
@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("CausalLM", "GPTBackbone", {**SIZES, "num_layers": 2, "dropout": 0.1}, 8, 512, 1),
        ("CausalLM", "GPTBackbone", {**SIZES, "dropout": 0.1, "remat": True}, 8, 512, 1),
        ("CausalLM", "GPTBackbone", {**SIZES, "dropout": 0.1}, 8, 512, 4),
        ("CausalLM", "GPTBackbone", {**LARGE, "dtype": "mixed_bfloat16"}, 4, 512, 1),
        ("CausalLM", "GPTBackbone", {**SIZES, "max_sequence_length": 4096}, 1, 4096, 1),
        ("MaskedLM", "BertBackbone", LARGE, 8, 128, 1),
        ("Seq2SeqLM", "T5Backbone", T5, 8, 256, 1),
    ],
    ids=lambda arguments: f"{arguments[0]}-{'-'.join(map(str, arguments[3:]))}",
)
def test_the_estimate_is_within_a_fifth_of_the_peak_that_is_seen(arguments):
    estimate, peak = measure(*arguments)
    assert estimate["total"] == pytest.approx(peak, rel=0.2), (arguments, estimate, peak)


def estimate_gpt(batch_size=4, length=256, parts=1, **options):
    return estimate_memory(
        lambda: CausalLM(GPTBackbone(500, **{**GPT, **options})),
        lambda task: describe_batch(task, batch_size, length),
        parts,
    )


def test_what_saves_memory_lowers_the_estimate():
    plain = estimate_gpt()
    assert plain["parameters"] == CausalLM(GPTBackbone(500, **GPT)).count_params()
    assert plain["weights"] == 4 * plain["parameters"]
    # Two moments of each weight, and a few numbers.
    assert plain["optimizer"] == pytest.approx(2 * plain["weights"], rel=1e-3)
    for options in ({"remat": True}, {"attention_chunks": 4}, {"parts": 2}, {"batch_size": 2}):
        assert estimate_gpt(**options)["activations"] < 0.9 * plain["activations"], options
    assert estimate_gpt(dtype="mixed_bfloat16")["activations"] < plain["activations"]


def test_batches_are_those_of_the_task():
    names = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    bert = BertBackbone(50, **names)
    inputs, labels, weights = describe_batch(MaskedLM(bert), 4, 20)
    assert inputs["mask_positions"].shape == labels.shape == weights.shape == (4, 3)
    inputs, labels, weights = describe_batch(TextClassifier(bert, num_classes=3), 4, 20)
    assert (inputs["segment_ids"].shape, labels.shape, weights) == ((4, 20), (4,), None)
    inputs, labels, _ = describe_batch(Seq2SeqLM(T5Backbone(50, **names, head_dim=4)), 4, 20)
    assert inputs["decoder_token_ids"].shape == labels.shape == (4, 20)


def test_what_is_no_batch_of_a_task_is_refused():
    bert = BertBackbone(50, num_layers=1, num_heads=2, hidden_dim=8)
    with pytest.raises(ValueError, match="`task` must be one of .*Received: a TextEmbedder"):
        describe_batch(TextEmbedder(bert), 4, 20)
    with pytest.raises(ValueError, match="sequence_length=513, max_sequence_length=512"):
        describe_batch(MaskedLM(bert), 4, 513)
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        describe_batch(MaskedLM(bert), 0, 20)
    with pytest.raises(ValueError, match="Received: accumulation_steps=0"):
        estimate_memory(None, None, 0)
    assert tf.executing_eagerly()
