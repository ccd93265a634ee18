"""Discriminative tasks as .tflite files: the scores of Keras, at any batch size and length."""

import keras
import numpy as np
import pytest

from lmzoo.models import BertBackbone
from lmzoo.runtime import open_model_file
from lmzoo.tasks import TextClassifier
from tests.export.litert.running import open_signature
from tests.layers.reference import randomise

VOCABULARY = 60


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    backbone = BertBackbone(VOCABULARY, 2, 4, 48, max_sequence_length=24)
    keras.utils.set_random_seed(0)
    task = TextClassifier(randomise(backbone, deviation=0.2), labels=["bad", "good", "other"])
    path = tmp_path_factory.mktemp("litert") / "task.tflite"
    task.export(path, verbose=False)
    return task, path


@pytest.mark.parametrize("shape", [(1, 1), (1, 24), (5, 7)])
def test_scores_are_those_of_keras(exported, shape):
    task, path = exported
    random = np.random.default_rng(0)
    inputs = {
        "token_ids": random.integers(0, VOCABULARY, shape).astype("int32"),
        "padding_mask": np.arange(shape[1]) < random.integers(1, shape[1] + 1, (shape[0], 1)),
        "segment_ids": random.integers(0, 2, shape).astype("int32"),
    }
    found = open_signature(path.read_bytes())(**inputs)["logits"]
    np.testing.assert_allclose(found, task(inputs).numpy(), atol=1e-5)


def test_the_manifest_names_the_labels(exported):
    _, path = exported
    manifest = open_model_file(path).manifest
    assert manifest.task == "TextClassifier"
    assert manifest.tokenizer is None
    assert manifest.task_options["labels"] == ("bad", "good", "other")
