"""Numbers of other libraries, and logits that say what is wanted."""

import json
import pathlib

import keras
import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "metrics.json"
GOLDEN_TEXTS = GOLDEN.with_name("texts.json")


@pytest.fixture(scope="session")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden_texts():
    return json.loads(GOLDEN_TEXTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def make_logits():
    """Makes random logits (..., C) whose largest is that of the class in `predicted` (...)."""

    def make(predicted, num_classes):
        predicted = np.asarray(predicted)
        generator = np.random.default_rng(0)
        logits = generator.normal(size=(*predicted.shape, num_classes))
        chosen = predicted[..., None] == np.arange(num_classes)
        return np.where(chosen, logits.max(-1, keepdims=True) + 0.5, logits).astype("float32")

    return make


@pytest.fixture(autouse=True)
def forget_policies():
    yield
    keras.config.set_dtype_policy("float32")
