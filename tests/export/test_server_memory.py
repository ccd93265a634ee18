"""A server's memory by the shapes that it meets: oneDNN keeps a compiled product for each."""

import os
import subprocess
import sys

import pytest

import lmzoo

# Prints by how many MB 400 new shapes let a process grow, and then 400 other ones.
PROGRAM = """
import sys
import tensorflow as tf

serve = tf.saved_model.load(sys.argv[1]).signatures["tokens"]

def call(rows, length):
    ids = tf.ones([rows, length], tf.int32)
    mask = tf.ones([rows, length], tf.bool)
    serve(token_ids=ids, padding_mask=mask, segment_ids=tf.zeros_like(ids))

def measure():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

for _ in range(50):
    call(16, 160)
for first in (1, 4):
    before = measure()
    for rows in range(1, 17):
        for length in range(first, 151, 6):
            call(rows, length)
    print(measure() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system has no /proc")
def test_new_shapes_take_no_memory_without_the_cache_of_onednn(tmp_path):
    """Measured on two cores, in MB: 230 and then 19 with the cache, -8 and 5 without it."""
    backbone = lmzoo.models.BertBackbone(40, 2, 4, 128, max_sequence_length=160)
    lmzoo.tasks.TextClassifier(backbone, num_classes=2).export(tmp_path / "1")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "1")],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert all(float(grown) < 25 for grown in ran.stdout.split()), ran.stdout
