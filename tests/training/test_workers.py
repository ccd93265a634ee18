"""`fit` over two processes on loopback, against one device with the same global batch."""

import json
import socket

import numpy as np
import pytest

from lmzoo.training import multi_worker_strategy
from tests.worker_processes import find_ports, run_workers

CHILD = """
import json, os, sys
import keras, numpy as np, tensorflow as tf

kind, policy = sys.argv[1:]
if "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, Seq2SeqLM, TextClassifier

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
    elif kind == "seq2seq":
        backbone = T5Backbone(50, 1, 1, 2, 8, 4, 16, dropout=0.0, dtype=policy)
        task = Seq2SeqLM(backbone)
        inputs = {"encoder_token_ids": ids[:, 1:], "encoder_padding_mask": mask}
        inputs |= {"decoder_token_ids": ids[:, :-1], "decoder_padding_mask": mask}
        rows = inputs, ids[:, 1:], weights
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "policy", "tolerance"),
    [
        ("causal", "float32", 1e-6),
        ("classifier", "float32", 1e-6),
        ("seq2seq", "float32", 1e-6),
        ("seq2seq", "float64", 1e-6),
        # A product of another batch size may round another way, by 2 ** -8 of a value.
        ("causal", "mixed_bfloat16", 1e-4),
        ("causal", "mixed_float16", 1e-4),
    ],
)
def test_two_workers_learn_what_one_device_learns(kind, policy, tolerance):
    first, second = run_workers(CHILD, [kind, policy])
    assert first == second, "the workers end with the same weights and numbers"
    [one] = run_workers(CHILD, [kind, policy], num_workers=0)
    assert len(one["losses"]) == 50 and one["losses"][-1] < one["losses"][0]
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=tolerance)
    assert first["history"].keys() == one["history"].keys()
    for name, values in one["history"].items():
        np.testing.assert_allclose(first["history"][name], values, rtol=10 * tolerance)
    assert first["evaluated"]["loss"] == pytest.approx(one["evaluated"]["loss"], rel=tolerance)


def set_config(monkeypatch, addresses, index=0):
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "'chief'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "IndexError"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "ValueError"),
    ],
)
def test_a_config_that_is_not_what_tensorflow_documents_is_refused(monkeypatch, text, reason):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON such as") as info:
        multi_worker_strategy()
    assert reason in str(info.value) and text[:60] in str(info.value)


def test_a_worker_that_does_not_come_is_named_in_time(monkeypatch):
    own, there, missing = (f"127.0.0.1:{port}" for port in find_ports(3))
    set_config(monkeypatch, [own, there, missing])
    with socket.create_server(("127.0.0.1", int(there.split(":")[1]))):
        with pytest.raises(TimeoutError, match=f"no answer from {missing} in 0.5 s"):
            multi_worker_strategy(wait_seconds=0.5)


def test_a_port_in_use_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = f"127.0.0.1:{server.getsockname()[1]}"
        set_config(monkeypatch, [own, "127.0.0.1:1"])
        with pytest.raises(ValueError, match=f"must be free. Received: {own}"):
            multi_worker_strategy()


def test_the_time_to_wait_is_checked():
    with pytest.raises(ValueError, match="wait_seconds=0"):
        multi_worker_strategy(wait_seconds=0)
