"""`fit` over two processes on loopback, against one device with the same global batch."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

CHILD = """
import json, os, sys
import keras, numpy as np, tensorflow as tf

kind, policy = sys.argv[1:]
if "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()

from lmzoo.models import BertBackbone, GPTBackbone
from lmzoo.tasks import CausalLM, TextClassifier

# Four batches of eight, and a last one of a single row: one worker has none of it.
ids = np.random.default_rng(0).integers(1, 50, (33, 9))
mask = np.arange(8) < np.random.default_rng(1).integers(1, 9, (33, 1))
weights = mask.astype("float32")
keras.utils.set_random_seed(1)
with strategy.scope():
    if kind == "causal":
        backbone = GPTBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0, dtype=policy)
        task = CausalLM(backbone)
        rows = {"token_ids": ids[:, :-1], "padding_mask": mask}, ids[:, 1:], weights
    else:
        backbone = BertBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0, dtype=policy)
        task = TextClassifier(backbone, num_classes=2, dropout=0.0)
        rows = {"token_ids": ids[:, :-1], "padding_mask": mask}, ids[:, 0] % 2
    task.compile()
losses = []
callback = keras.callbacks.LambdaCallback(
    on_batch_end=lambda _, logs: losses.append(float(logs["loss"]))
)
data = tf.data.Dataset.from_tensor_slices(rows).batch(8)
history = task.fit(data, epochs=10, verbose=0, validation_data=data, callbacks=[callback]).history
evaluated = task.evaluate(data, verbose=0, return_dict=True)
print(json.dumps({
    "losses": losses,
    "history": {name: [float(value) for value in values] for name, values in history.items()},
    "evaluated": {name: float(value) for name, value in evaluated.items()},
    "weights": [weight.numpy().ravel().tolist() for weight in task.trainable_weights],
}))
"""


def find_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(arguments, config=None):
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    }
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child):
    try:
        output, errors = child.communicate(timeout=600)
    finally:
        child.kill()
    assert child.returncode == 0, errors[-3000:]
    return json.loads(output.splitlines()[-1])


def run_workers(*arguments):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in find_ports(2)]}
    children = [
        start(arguments, {"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    return [finish(child) for child in children]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "policy", "tolerance"),
    [
        ("causal", "float32", 1e-6),
        ("classifier", "float32", 1e-6),
        # A product of another batch size may round another way, by 2 ** -8 of a value.
        ("causal", "mixed_bfloat16", 1e-4),
        ("causal", "mixed_float16", 1e-4),
    ],
)
def test_two_workers_learn_what_one_device_learns(kind, policy, tolerance):
    first, second = run_workers(kind, policy)
    assert first == second, "the workers end with the same weights and numbers"
    one = finish(start((kind, policy)))
    assert len(one["losses"]) == 50 and one["losses"][-1] < one["losses"][0]
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=tolerance)
    assert first["history"].keys() == one["history"].keys()
    for name, values in one["history"].items():
        np.testing.assert_allclose(first["history"][name], values, rtol=10 * tolerance)
    assert first["evaluated"]["loss"] == pytest.approx(one["evaluated"]["loss"], rel=tolerance)
