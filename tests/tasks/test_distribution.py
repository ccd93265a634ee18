"""`fit` over two devices: child processes, because devices are fixed when TensorFlow starts."""

import pytest

from tests.python_child import run_script

TWO_DEVICES = """
import json, sys
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

"""


def run_child(code, *arguments):
    """What the last line that a script prints says in JSON."""
    return run_script(TWO_DEVICES + code, *arguments)


TRAIN_LM = """
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM

policy, wants_dropout = sys.argv[1:]
ids = np.random.default_rng(0).integers(0, 50, (8, 17))
batch = {"token_ids": ids[:, :-1], "padding_mask": np.ones((8, 16), bool)}


def train(strategy, **options):
    keras.utils.set_random_seed(1)
    data = tf.data.Dataset.from_tensors((batch, ids[:, 1:])).repeat(20)
    with strategy.scope():
        backbone = GPTBackbone(50, 1, 2, 16, max_sequence_length=16, dtype=policy, **options)
        lm = CausalLM(backbone)
        lm.compile()
    losses = []
    record = lambda _, logs: losses.append(logs["loss"])
    lm.fit(data, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_batch_end=record)])
    return losses


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
if wants_dropout == "True":
    options = {"dropout": 0.3}, {"dropout": 0.3, "remat": True}
    runs = [train(mirrored, **each) for each in ({}, *options)]
else:
    runs = [train(each) for each in (*[tf.distribute.get_strategy()] * 2, mirrored)]
print(json.dumps(runs))
"""


@pytest.mark.parametrize(
    "policy", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_two_devices_learn_what_one_learns(policy):
    one, again, two = run_child(TRAIN_LM, policy, "False")
    assert one == again, "the control: one device twice"
    assert len(one) == 20
    assert one[-1] < one[0]
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_rematerialized_blocks_draw_the_same_dropout_on_each_device(policy):
    two, kept, rematerialized = run_child(TRAIN_LM, policy, "True")
    # The same draws of dropout, on each device its own.
    assert kept != pytest.approx(two, rel=1e-5)
    assert rematerialized == pytest.approx(kept, rel=1e-6)


# Rows of a batch differ in their tokens, and the last batch leaves one device a row more.
TRAIN_READERS = """
from lmzoo.tasks import MaskedLM, QuestionAnswerer, TextClassifier, TokenClassifier
from tests.encoder_tasks import make_backbone, train_tokenizer

kind = sys.argv[1]
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
    one, again, two = run_child(TRAIN_READERS, kind)
    assert one == again, "the control: one device twice"
    assert one[0]["loss"] != one[-1]["loss"] and len(one) >= 12
    for step, (first, second) in enumerate(zip(one, two, strict=True)):
        assert second == pytest.approx(first, rel=1e-5), step


# Each replica ranks among its own pairs, so the loss is the mean of those of the two halves.
TRAIN_EMBEDDER = """
from lmzoo.models import BertBackbone
from lmzoo.tasks import SimilarityLoss, TextEmbedder
from lmzoo.tasks.losses import rank_candidates

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
    halves, ranked, similar, both, losses, finite = run_child(TRAIN_EMBEDDER)
    assert ranked == pytest.approx(sum(halves) / 2, rel=1e-5)
    assert both == pytest.approx(similar, rel=1e-5)
    assert all(0 <= loss < 100 for loss in losses)
    assert finite
