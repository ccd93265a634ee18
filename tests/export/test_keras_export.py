"""Keras's own exports, of a backbone and of a task that has been trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.export.litert.flatbuffer import list_ops, open_model
from lmzoo.layers import ClassificationHead, PositionEmbedding, TokenEmbedding, TransformerBlock
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, MaskedLM, Seq2SeqLM

IDS = np.random.default_rng(0).integers(0, 40, (4, 6)).astype("int32")
MASK = np.arange(6) < np.array([[6], [4], [3], [6]])
READ = {"token_ids": IDS, "padding_mask": MASK}
SIZES = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12}


def make_decoder():
    return CausalLM(GPTBackbone(40, max_sequence_length=16, **SIZES)), READ


def make_encoder():
    backbone = BertBackbone(40, max_sequence_length=16, **SIZES)
    return MaskedLM(backbone), {**READ, "segment_ids": np.zeros_like(IDS)}


def make_seq2seq():
    return Seq2SeqLM(T5Backbone(40, max_sequence_length=16, **SIZES)), {
        f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in READ.items()
    }


@pytest.mark.parametrize(
    "make",
    [
        make_decoder,
        *(pytest.param(make, marks=pytest.mark.slow) for make in (make_encoder, make_seq2seq)),
    ],
)
def test_a_trained_task_and_its_backbone_are_exported_by_keras(make, tmp_path):
    task, inputs = make()
    task.compile(run_eagerly=True)
    task.fit(inputs, IDS, verbose=0)
    task.backbone.export(tmp_path / "backbone", verbose=False)
    keras.Model.export(task, tmp_path / "task", verbose=False)
    for model, folder in ((task.backbone, "backbone"), (task, "task")):
        specs = {name: "int32" for name in inputs}
        if model is task.backbone:
            specs = task.backbone.input_dtypes
        given = {name: tf.constant(inputs[name], specs[name]) for name in specs}
        loaded = tf.saved_model.load(tmp_path / folder)
        found = loaded.serve(given)
        keras.tree.map_structure(
            lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5),
            found,
            model(inputs, training=False),
        )


def make_functional():
    tokens = keras.Input((None,), dtype="int32")
    hidden = TokenEmbedding(40, 8)(tokens)
    hidden = keras.layers.Add()([hidden, PositionEmbedding(16)(hidden)])
    hidden = TransformerBlock(2, 12, causal=True, rotary=True)(hidden)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(tokens, ClassificationHead(3)(hidden))


def run_litert(path, inputs):
    """The outputs of a .tflite of one signature, and the kinds of its ops."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    content = path.read_bytes()
    run = interpreter.Interpreter(model_content=content).get_signature_runner()
    details = run.get_input_details()
    # Of a task Keras names them "inputs", "inputs_1" and so on, in the order of the names.
    names = inputs if set(inputs) == set(details) else sorted(details)
    given = {
        name: np.asarray(value, details[name]["dtype"])
        for name, (_, value) in zip(sorted(names), sorted(inputs.items()), strict=True)
    }
    return list(run(**given).values()), list_ops(open_model(content))


# A functional model of the layers is always exported.
@pytest.mark.slow
@pytest.mark.parametrize("make", [make_encoder, make_decoder, make_seq2seq])
def test_a_task_and_its_backbone_are_exported_by_keras_for_litert(make, tmp_path):
    task, inputs = make()
    wanted = task(inputs, training=False)
    keras.Model.export(task, tmp_path / "task.tflite", format="litert", verbose=False)
    [found], ops = run_litert(tmp_path / "task.tflite", inputs)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert "CUSTOM" not in ops
    task.backbone.export(tmp_path / "backbone.tflite", format="litert", verbose=False)
    found, ops = run_litert(tmp_path / "backbone.tflite", inputs)
    wanted = keras.tree.flatten(task.backbone(inputs, training=False))
    for one in wanted:
        assert any(o.shape == one.shape and np.abs(o - one).max() < 1e-5 for o in found)
    assert "CUSTOM" not in ops


def test_a_functional_model_of_the_layers_is_exported_by_keras_for_litert(tmp_path):
    model = make_functional()
    model.export(tmp_path / "model.tflite", format="litert", verbose=False)
    [found], ops = run_litert(tmp_path / "model.tflite", {"": IDS})
    np.testing.assert_allclose(found, model(IDS), atol=1e-5)
    assert "CUSTOM" not in ops


def test_onnx_says_which_package_it_needs(tmp_path):
    task, inputs = make_decoder()
    task(inputs)
    try:
        import tf2onnx  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="onnx"):
            keras.Model.export(task, tmp_path / "task.onnx", format="onnx")


@pytest.mark.parametrize("make", [make_decoder, make_encoder, make_seq2seq])
def test_onnx_of_a_backbone_and_of_a_trained_task_gives_the_same(make, tmp_path):
    """With tf2onnx 1.17.0, onnx 1.23.2 and onnxruntime, which no other test needs."""
    pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    task, inputs = make()
    task.fit(inputs, IDS, verbose=0)
    task.backbone.export(tmp_path / "backbone.onnx", format="onnx", verbose=False)
    keras.Model.export(task, tmp_path / "task.onnx", format="onnx", verbose=False)
    for model, name in ((task.backbone, "backbone"), (task, "task")):
        session = runtime.InferenceSession(tmp_path / f"{name}.onnx")
        given = {}
        for place in session.get_inputs():
            dtype = "bool" if place.type == "tensor(bool)" else "int32"
            given[place.name] = inputs[place.name.removeprefix("inputs_")].astype(dtype)
        found = session.run(None, given)
        # Several outputs are ordered by their names.
        wanted = keras.tree.flatten(model(inputs, training=False))
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
