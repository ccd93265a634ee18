"""Embeddings learnt over two devices: a child process, as devices are fixed at TensorFlow's start.

Each replica ranks among its own pairs, so the loss is the mean of those of the two halves.
"""

import json
import os
import subprocess
import sys

import pytest

TRAIN = """
import json
import keras, numpy as np, tensorflow as tf
from lmzoo.models import BertBackbone
from lmzoo.tasks import SimilarityLoss, TextEmbedder
from lmzoo.tasks.losses import rank_candidates

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
ids = np.random.default_rng(0).integers(0, 50, (9, 2, 5))
labels = np.linspace(-1, 1, 8, dtype="float32")


def make():
    keras.utils.set_random_seed(1)
    embedder = TextEmbedder(BertBackbone(50, 1, 2, 8, max_sequence_length=8, dropout=0.0))
    embedder.compile()
    return embedder


def dataset(*arrays, size=8):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(size)


one = make()
halves = [one({"token_ids": ids[part]}) for part in (slice(0, 4), slice(4, 8))]
halves = [float(SimilarityLoss()(*rank_candidates(half, 20.0))) for half in halves]
similar = one.evaluate({"token_ids": ids[:8]}, labels, batch_size=8, verbose=0, return_dict=True)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two = make()
ranked = two.evaluate(dataset({"token_ids": ids[:8]}), verbose=0, return_dict=True)
both = two.evaluate(dataset({"token_ids": ids[:8]}, labels), verbose=0, return_dict=True)
# The last batch of one pair leaves a replica without any.
history = two.fit(dataset({"token_ids": ids}), epochs=2, verbose=0).history
finite = all(np.isfinite(weight.numpy()).all() for weight in two.weights)
print(json.dumps([halves, ranked["loss"], similar, both, history["loss"], bool(finite)]))
"""


@pytest.mark.slow
def test_each_replica_ranks_among_its_own_pairs():
    child = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    halves, ranked, similar, both, losses, finite = json.loads(child.stdout.splitlines()[-1])
    assert ranked == pytest.approx(sum(halves) / 2, rel=1e-5)
    assert both == pytest.approx(similar, rel=1e-5)
    assert all(0 <= loss < 100 for loss in losses)
    assert finite
