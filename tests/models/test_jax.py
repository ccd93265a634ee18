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


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_a_decoder_trains_on_jax_as_on_tensorflow(tmp_path):
    path = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    backend, losses = json.loads(child.stdout.splitlines()[-1])
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
