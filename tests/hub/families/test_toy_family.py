"""A family that exists here alone: a backbone and one record, and everything works with it.

It is the example of lmzoo/hub/families/README.md.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub import families
from lmzoo.hub.families.family import Family, PublishedModel
from lmzoo.hub.families.head import Head
from lmzoo.hub.files.config_validation import number_field, read_fields, size_field, write_fields
from lmzoo.layers import FeedForward, TokenEmbedding
from lmzoo.models.backbone import Backbone


@keras.saving.register_keras_serializable(package="toy")
class ToyBackbone(Backbone):
    """Token embeddings and a stack of feed-forwards: no token sees another."""

    def __init__(
        self,
        vocabulary_size,
        num_layers=1,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
        dropout=0.0,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.max_sequence_length = max_sequence_length
        self.dropout = dropout
        self.initializer_range = initializer_range
        shared = {"dtype": self.dtype_policy}
        self.token_embedding = TokenEmbedding(
            vocabulary_size, hidden_dim, **shared, name="token_embedding"
        )
        self.feed_forwards = [
            FeedForward(intermediate_dim, activation="relu", **shared, name=f"block_{index}")
            for index in range(num_layers)
        ]
        self.build({"token_ids": (None, None)})

    def build(self, input_shape):
        self.token_embedding.build((None, None))
        for layer in self.feed_forwards:
            layer.build((None, None, self.hidden_dim))
        self.built = True

    def call(self, inputs, training=None):
        hidden = self.token_embedding(inputs["token_ids"])
        for layer in self.feed_forwards:
            hidden = hidden + layer(hidden)
        return {"sequence_output": hidden}


FIELDS = {
    "vocabulary_size": size_field("vocab_size", 2**20),
    "num_layers": size_field("depth", 2**10, 1),
    "hidden_dim": size_field("width", 2**16, 8),
    "intermediate_dim": size_field("inner_width", 2**16, 16),
    "max_sequence_length": size_field("longest", 2**16, 32),
    "dropout": number_field("dropout", 0, 0.999, 0.0),
    "initializer_range": number_field("initializer_range", 0, 1, 0.02),
}


def variable_shapes(arguments):
    width, inner = arguments["hidden_dim"], arguments["intermediate_dim"]
    shapes = {"token_embedding/embeddings": (arguments["vocabulary_size"], width)}
    for index in range(arguments["num_layers"]):
        for layer, inputs, outputs in (
            ("intermediate", width, inner),
            ("output", inner, width),
        ):
            shapes[f"block_{index}/{layer}/kernel"] = (inputs, outputs)
            shapes[f"block_{index}/{layer}/bias"] = (outputs,)
    return shapes


def make_modules(arguments):
    modules = {"token_embedding": ("words",)}
    for index in range(arguments["num_layers"]):
        modules[f"block_{index}/intermediate"] = (f"layer.{index}.up",)
        modules[f"block_{index}/output"] = (f"layer.{index}.down",)
    return modules


def make_config(backbone, model_type):
    return {"model_type": model_type, **write_fields(backbone, FIELDS)}


TOY = Family(
    name="toy",
    backbone=lambda: ToyBackbone,
    classes={"toy": "Toy"},
    plain_task="TextEmbedder",
    heads={
        "TextEmbedder": Head(endings=("Model",)),
        "TextClassifier": Head(
            endings=("ForSequenceClassification",),
            modules={"head/hidden": ("pre",), "head/output": ("classifier",)},
            hidden_activation="tanh",
        ),
    },
    prefix="toy.",
    read_arguments=lambda config: read_fields(config, FIELDS),
    make_config=make_config,
    variable_shapes=variable_shapes,
    modules=make_modules,
    ignored={"counters": r"steps"},
    published={"toy-small": PublishedModel("hf://toys/small", "toy", "TextEmbedder", 1, "mit", {})},
)


@pytest.fixture(autouse=True)
def register(monkeypatch):
    known = families.list_families()
    monkeypatch.setattr(families, "_find_records", lambda: (*known, TOY))


@pytest.fixture
def classifier():
    return lmzoo.tasks.TextClassifier(ToyBackbone(23, num_layers=2), labels=["a", "b"])


INPUTS = {"token_ids": np.arange(12).reshape(2, 6)}


def test_it_is_saved_in_its_own_words_and_opened_again(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["depth"], config["inner_width"]) == ("toy", 2, 16)
    assert config["architectures"] == ["ToyForSequenceClassification"]
    again = lmzoo.load(tmp_path / "a")
    np.testing.assert_array_equal(again(INPUTS), classifier(INPUTS))
    again.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_task_is_opened_on_it(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "a")
    embedder = lmzoo.load(tmp_path / "a", task="TextEmbedder")
    wanted = classifier.backbone(INPUTS)["sequence_output"]
    np.testing.assert_array_equal(embedder.backbone(INPUTS)["sequence_output"], wanted)
    with pytest.raises(ValueError, match="one of TextEmbedder, TextClassifier, .*toy"):
        lmzoo.load(tmp_path / "a", task="MaskedLM")


def test_it_is_described_and_verified(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "a")
    described = lmzoo.hub.describe(tmp_path / "a")
    assert (described["family"], described["task"]) == ("toy", "TextClassifier")
    assert (described["num_layers"], described["hidden_dim"]) == (2, 8)
    assert described["num_parameters"] == classifier.count_params()
    report = lmzoo.hub.verify(tmp_path / "a")
    assert report["passed"]
    assert report["variables"]["block_1/output/kernel"] == ["toy.layer.1.down.weight"]


def test_it_is_exported(classifier, tmp_path):
    classifier.export(tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["tokens"]
    outputs = served(
        token_ids=tf.constant(INPUTS["token_ids"], tf.int32),
        padding_mask=tf.ones([2, 6], tf.bool),
    )
    np.testing.assert_allclose(outputs["logits"], classifier(INPUTS), rtol=1e-5, atol=1e-6)


def test_its_published_models_have_names():
    assert lmzoo.zoo.find_entry("toy-small").source == "hf://toys/small"


def test_a_tensor_that_it_does_not_know_is_refused(classifier, tmp_path):
    import safetensors.numpy

    classifier.save_pretrained(tmp_path / "a")
    path = tmp_path / "a" / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file({**tensors, "toy.steps": np.ones(1, np.float32)}, path)
    np.testing.assert_array_equal(lmzoo.load(tmp_path / "a")(INPUTS), classifier(INPUTS))
    safetensors.numpy.save_file({**tensors, "toy.other": np.ones(1, np.float32)}, path)
    with pytest.raises(ValueError, match="not expected: 'toy.other'"):
        lmzoo.load(tmp_path / "a")
