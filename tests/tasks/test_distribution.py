"""`fit` over two devices: a child process, because devices are fixed when TensorFlow starts."""

import json
import os
import subprocess
import sys

import pytest

TRAIN = """
import json, sys
import keras, numpy as np, tensorflow as tf
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM

policy = sys.argv[1]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
ids = np.random.default_rng(0).integers(0, 50, (8, 17))
batch = {"token_ids": ids[:, :-1], "padding_mask": np.ones((8, 16), bool)}


def train(strategy):
    keras.utils.set_random_seed(1)
    data = tf.data.Dataset.from_tensors((batch, ids[:, 1:])).repeat(20)
    with strategy.scope():
        backbone = GPTBackbone(50, 2, 2, 16, max_sequence_length=16, dtype=policy)
        lm = CausalLM(backbone)
        lm.compile()
    losses = []
    record = lambda _, logs: losses.append(logs["loss"])
    lm.fit(data, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_batch_end=record)])
    return losses


one = train(tf.distribute.get_strategy())
again = train(tf.distribute.get_strategy())
two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(json.dumps([one, again, two]))
"""


@pytest.mark.parametrize(
    "policy", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_two_devices_learn_what_one_learns(policy):
    child = subprocess.run(
        [sys.executable, "-c", TRAIN, policy],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    one, again, two = json.loads(child.stdout.splitlines()[-1])
    assert one == again, "the control: one device twice"
    assert len(one) == 20
    assert one[-1] < one[0]
    assert two == pytest.approx(one, rel=1e-5)
