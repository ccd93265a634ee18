"""`fit` of tasks that read over two devices, on raw text: a child process for each.

The rows of a batch have different numbers of tokens, and the last batch leaves one device a row
more than the other.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

TRAIN = """
import json, sys
import keras, tensorflow as tf
from lmzoo.tasks import MaskedLM, QuestionAnswerer, TextClassifier, TokenClassifier
from tests.encoder_tasks import make_backbone, train_tokenizer

kind = sys.argv[1]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tokenizer = train_tokenizer("word_piece")
words = [["EU", "rejects", "Paris"][: 1 + n % 3] for n in range(7)]
tags = [["B-A", "O", "I-A"][: len(row)] for row in words]
contexts = ["nobody wrote to " + "Ada Lovelace " * (1 + n) for n in range(7)]


def train(strategy):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        backbone = make_backbone(tokenizer)
        if kind == "tagger":
            task = TokenClassifier(backbone, tokenizer, ["O", "B-A", "I-A"])
            data = words, tags
        elif kind == "classifier":
            task = TextClassifier(backbone, tokenizer, labels=["short", "long"])
            data = contexts, ["short"] * 3 + ["long"] * 4
        elif kind == "masked":
            task = MaskedLM(backbone, tokenizer)
            data = (contexts,)
        else:
            task = QuestionAnswerer(backbone, tokenizer, sequence_length=16)
            data = (["who?"] * 7, contexts), ["Ada"] * 7
        # Adam would make a step of any size out of a gradient that is all rounding error.
        task.compile(keras.optimizers.SGD(0.1))
    losses = []
    callback = keras.callbacks.LambdaCallback(
        on_batch_end=lambda _, logs: losses.append({"loss": logs["loss"]}),
        on_epoch_end=lambda _, logs: losses.append(dict(logs)),
    )
    task.fit(*data, batch_size=4, epochs=4, verbose=0, callbacks=[callback])
    return losses


one = train(tf.distribute.get_strategy())
again = train(tf.distribute.get_strategy())
two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(json.dumps([one, again, two]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tagger", "answerer", "classifier", "masked"])
def test_two_devices_learn_what_one_learns_of_text(kind):
    root = str(pathlib.Path(__file__).parents[2])
    child = subprocess.run(
        [sys.executable, "-c", TRAIN, kind],
        env={
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "PYTHONPATH": root,
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    one, again, two = json.loads(child.stdout.splitlines()[-1])
    assert one == again, "the control: one device twice"
    assert one[0]["loss"] != one[-1]["loss"] and len(one) >= 12
    for step, (first, second) in enumerate(zip(one, two, strict=True)):
        assert second == pytest.approx(first, rel=1e-5), step
