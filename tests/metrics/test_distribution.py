"""Two replicas measure what one does: a child process, as devices are fixed at the start."""

import json
import os
import subprocess
import sys

import pytest

MEASURE = """
import json
import keras, numpy as np, tensorflow as tf
from lmzoo import metrics

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
TAGS = ["O", "B-A", "I-A"]
generator = np.random.default_rng(0)
true = generator.integers(0, 3, (20, 6)).astype("int32")
logits = (2 * np.eye(3)[true] + 2 * generator.normal(size=(20, 6, 3))).astype("float32")
mask = (generator.random((20, 6)) < 0.8).astype("float32")
numbers = (100 + generator.normal(size=20)).astype("float32")
guesses = (numbers + generator.normal(size=20)).astype("float32")
tokens = [
    metrics.Perplexity, metrics.Accuracy, lambda: metrics.F1(3),
    lambda: metrics.MatthewsCorrelation(3), lambda: metrics.SpanF1(TAGS),
]
correlations = [metrics.PearsonCorrelation, lambda: metrics.SpearmanCorrelation(capacity=20)]


def run(strategy):
    results = {}
    for makers, arrays in ((tokens, (true, logits, mask)), (correlations, (numbers, guesses))):
        with strategy.scope():
            made = [make() for make in makers]
        # The last batch is short, and of one replica alone where there are two.
        data = tf.data.Dataset.from_tensor_slices(arrays).batch(6).take(4)
        for batch in strategy.experimental_distribute_dataset(data):
            strategy.run(lambda *part: [m.update_state(*part) for m in made], args=batch)
        results |= {metric.name: float(metric.result()) for metric in made}
        for metric in made:
            metric.reset_state()
            results[metric.name + " reset"] = float(metric.result())
    return results


def evaluate(strategy):
    with strategy.scope():
        model = keras.Sequential([keras.layers.Dense(3)])
        model.build((None, 6, 3))
        model.layers[-1].set_weights([np.eye(3), np.zeros(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(None, loss, weighted_metrics=[make() for make in tokens], jit_compile=False)
    data = tf.data.Dataset.from_tensor_slices((logits, true, mask)).batch(10)
    return model.evaluate(data, return_dict=True, verbose=0)


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = run(tf.distribute.get_strategy())
print(json.dumps([one, run(two), evaluate(two), two.num_replicas_in_sync]))
"""


def test_two_replicas_measure_what_one_does():
    child = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    one, two, evaluated, num_replicas = json.loads(child.stdout.splitlines()[-1])
    assert num_replicas == 2
    assert len(one) == 2 * 7
    assert two == pytest.approx(one, rel=1e-6)
    assert all(
        value == (1.0 if "perp" in key else 0.0) for key, value in two.items() if "reset" in key
    )
    assert all(value > 0.1 for key, value in two.items() if "reset" not in key)
    del evaluated["loss"]
    assert len(evaluated) == 5
    assert evaluated == pytest.approx({name: one[name] for name in evaluated}, rel=1e-6)
