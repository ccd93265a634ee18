"""Backbones train on Keras's JAX backend, alone and spread over devices, as on TensorFlow."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)
# Trains one model three times from the same weights, on one device and on four.
CHILD = """
import json, sys
import keras, numpy as np
import train_on_jax as example

folder, losses = sys.argv[1], {}
inputs, labels = example.read_examples(16, 32)
np.savez(f"{folder}/examples.npz", inputs=inputs, labels=labels)
for parallel in ("none", "data", "model"):
    distribution = example.distribute(parallel)
    keras.utils.set_random_seed(0)
    model = example.make_model(16, smoke=True)
    model(inputs[:1])
    if parallel == "none":
        arrays = [np.asarray(weight) for weight in model.weights]
        np.savez(f"{folder}/weights.npz", *arrays)
    model.set_weights(arrays)
    model.compile(
        keras.optimizers.AdamW(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(inputs, labels, batch_size=8, shuffle=False, epochs=2, verbose=0)
    losses[parallel] = history.history["loss"]
    divided = [example.is_divided(weight) for weight in model.weights]
    assert any(divided) == (parallel == "model"), parallel
    keras.distribution.set_distribution(None)
print(json.dumps([keras.backend.backend(), losses]))
"""

# The loss and the gradients of each backbone, plain and in each way to save memory.
MEMORY_CHILD = """
import json
import jax, keras, numpy as np
from keras import ops
import lmzoo.models as models

SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16}
LONGEST = {"max_sequence_length": 64}
BACKBONES = {
    "GPTBackbone": LONGEST,
    "BertBackbone": LONGEST,
    "ModernBertBackbone": LONGEST,
    "T5Backbone": {"intermediate_dim": 32, "head_dim": 8},
}
WAYS = [
    ({"dropout": 0.1}, {"remat": True}),
    ({}, {"attention_chunks": 3}),
    ({}, {"remat": True, "attention_chunks": 3}),
]
ids = np.random.default_rng(0).integers(1, 101, (2, 16)).astype("int32")

def differentiate(name, **options):
    keras.utils.set_random_seed(0)
    model = getattr(models, name)(101, **SIZES, **BACKBONES[name], **options)
    inputs = {"token_ids": ids, "padding_mask": ids > 3}
    if name == "T5Backbone":
        inputs = {f"{side}_{key}": value for side in ("encoder", "decoder")
                  for key, value in inputs.items()}
    model(inputs)
    for index, variable in enumerate(model.trainable_variables):
        variable.assign(0.2 * np.random.default_rng(index).normal(size=variable.shape))
    fixed = [variable.value for variable in model.non_trainable_variables]

    def compute_loss(weights):
        outputs, _ = model.stateless_call(weights, fixed, inputs, training=True)
        return sum(ops.mean(ops.square(one)) for one in jax.tree.leaves(outputs))

    weights = [variable.value for variable in model.trainable_variables]
    loss, gradients = jax.jit(jax.value_and_grad(compute_loss))(weights)
    return np.concatenate([np.ravel(one) for one in [loss, *gradients]])

found = {}
for name in BACKBONES:
    plain = {dropout: differentiate(name, dropout=dropout) for dropout in (0.0, 0.1)}
    # A control: dropout changes what is compared.
    assert np.abs(plain[0.0] - plain[0.1]).max() > 1e-4, name
    found[name] = []
    for common, way in WAYS:
        expected = plain[common.get("dropout", 0.0)]
        got = differentiate(name, **{"dropout": 0.0, **common}, **way)
        found[name].append(float(np.abs(got - expected).max() / np.abs(expected).max()))
print(json.dumps(found))
"""


def run_on_jax(code, *arguments):
    """The last line that a program prints whose Keras computes with JAX, parsed."""
    path = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    child = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


@pytest.mark.slow
@needs_jax
def test_gradients_are_the_same_in_each_way_to_save_memory():
    found = run_on_jax(MEMORY_CHILD)
    assert set(found) == {"GPTBackbone", "BertBackbone", "ModernBertBackbone", "T5Backbone"}
    assert max(max(differences) for differences in found.values()) < 1e-5, found


@pytest.mark.slow
@needs_jax
def test_a_decoder_trains_on_jax_as_on_tensorflow(tmp_path):
    backend, losses = run_on_jax(CHILD, str(tmp_path))
    assert backend == "jax"
    np.testing.assert_allclose(losses["data"], losses["none"], rtol=1e-5)
    np.testing.assert_allclose(losses["model"], losses["none"], rtol=1e-5)
    np.testing.assert_allclose(train_on_tensorflow(tmp_path), losses["none"], rtol=1e-5)


def train_on_tensorflow(folder):
    """The losses of the same training, by the file of the example itself."""
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples/train_on_jax.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    examples, weights = np.load(folder / "examples.npz"), np.load(folder / "weights.npz")
    model = example.make_model(16, smoke=True)
    model(examples["inputs"][:1])
    model.set_weights([weights[name] for name in weights.files])
    model.compile(
        keras.optimizers.AdamW(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    inputs, labels = examples["inputs"], examples["labels"]
    options = {"batch_size": 8, "shuffle": False, "epochs": 2, "verbose": 0}
    return model.fit(inputs, labels, **options).history["loss"]
