"""The self-test of a SavedModel, and what lies beside its graph for a server."""

import pathlib
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

import lmzoo
from lmzoo.export import check
from lmzoo.export.self_test import make_self_test, run_self_test
from lmzoo.export.serving_files import encode_prediction_log


def read_fields(data):
    """The fields of a proto whose values have lengths, read by the rules of its wire format."""
    fields, at = [], 0

    def read_varint():
        nonlocal at
        number = shift = 0
        while True:
            byte, at = data[at], at + 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        tag, size = read_varint(), read_varint()
        assert tag & 7 == 2
        fields.append((tag >> 3, data[at : at + size]))
        at += size
    return fields


def read_request(record):
    """(name, signature, inputs) of a PredictionLog."""
    ((log, data),) = read_fields(record)
    ((request, data),) = read_fields(data)
    assert (log, request) == (6, 1)
    (one, spec), *entries = read_fields(data)
    spec = dict(read_fields(spec))
    assert one == 1 and {number for number, _ in entries} == {2}
    inputs = {}
    for _, entry in entries:
        entry = dict(read_fields(entry))
        inputs[entry[1].decode()] = tf.make_ndarray(tensor_pb2.TensorProto.FromString(entry[2]))
    return spec[1].decode(), spec[3].decode(), inputs


def test_warm_up_records_are_requests_that_the_model_answers(export):
    folder = export()
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    signatures = tf.saved_model.load(str(folder)).signatures
    asked = []
    for record in records:
        name, signature, inputs = read_request(record)
        assert name == folder.parent.name
        function = signatures[signature]
        specs = function.structured_input_signature[1]
        assert set(inputs) == set(specs)
        for key, value in inputs.items():
            dtype = "string" if value.dtype == object else value.dtype
            assert tf.as_dtype(dtype) == specs[key].dtype
        outputs = function(**{key: tf.constant(value) for key, value in inputs.items()})
        asked.append((signature, outputs["text"].shape[0]))
    assert {("generate", 1), ("serving_default", 1)} < set(asked)


def test_a_long_value_has_a_length_of_several_bytes():
    inputs = {"text": tf.make_tensor_proto(np.array([b"a" * 40_000], object))}
    name, signature, found = read_request(encode_prediction_log("m" * 200, "generate", inputs))
    assert (name, signature) == ("m" * 200, "generate")
    assert found["text"].tolist() == [b"a" * 40_000]


def test_the_card_names_the_signatures(export):
    card = (export() / "README.md").read_text()
    assert "- task: CausalLM" in card and "| `generate` | `text` string" in card


def test_check_runs_the_self_test_with_the_task_and_alone(export, lm, capsys):
    assert check(export(), lm, verbose=False)["self_test"] is True
    assert check(export())["passed"]
    assert "The self-test passed." in capsys.readouterr().out


@pytest.mark.parametrize("offset", [1000, 20_000])
def test_weights_that_were_changed_fail_the_self_test(export, tmp_path, offset):
    folder = pathlib.Path(shutil.copytree(export(), tmp_path / "1"))
    data = next((folder / "variables").glob("*.data*"))
    content = np.fromfile(data, np.uint8)
    # Weights that are numbers still, but others.
    content[offset : offset + 4000].view(np.float32)[:] = 0.5
    content.tofile(data)
    try:
        passed = run_self_test(folder)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        passed = False
    assert not passed


def test_slots_are_served_with_tensorflow_alone_and_without_xla(server, export):
    folder = export(continuous_batching=True)
    signatures = server.ask("describe", folder=str(folder))
    assert {"encode", "start", "advance", "decode", "self_test"} < set(signatures)
    assert signatures["decode"] == [
        {"token_ids": ["int32", [None, None]], "padding_mask": ["bool", [None, None]]},
        {"text": ["string", [None]]},
    ]
    state = {name.removeprefix("state_") for name in signatures["advance"][0]} - {"steps"}
    assert state == set(signatures["advance"][1]) == set(signatures["start"][1])
    assert server.call(folder, "self_test")["passed"]
    assert b"_XlaMustCompile" not in (folder / "saved_model.pb").read_bytes()


@pytest.mark.parametrize(
    ("now", "then", "passes"),
    [
        ([1.0, 100.0], [1.001, 100.09], True),
        ([1.0, 100.0], [1.003, 100.0], False),
        ([1.0, -np.inf], [1.0, -np.inf], True),
        ([1.0, -np.inf], [1.0, -1e30], False),
        ([1.0, 2.0], [1.0, np.nan], False),
        ([np.nan], [np.nan], False),
        ([[1.0, 2.0]], [1.0, 2.0], False),
        ([[1.0, 2.0]], [[1.0], [2.0]], False),
        ([1.0], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0], False),
        ([], [], True),
        ([], [1.0], False),
        (3.0, 3.0, True),
        ([3, 4], [3, 5], False),
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "c"], False),
    ],
)
def test_shapes_must_be_the_same_and_floats_nearly_so(now, then, passes):
    dtype = {float: tf.float32, int: tf.int64, str: tf.string}
    dtype = dtype[type(np.array(now).reshape(-1).tolist()[0])] if np.size(now) else tf.float32
    variable = tf.Variable(tf.constant(now, dtype), shape=tf.TensorShape(None))
    answer = tf.function(lambda: {"output": variable.read_value()}, input_signature=[])
    scored = types.SimpleNamespace(backbone=types.SimpleNamespace(compute_dtype="float32"))
    task = types.SimpleNamespace(tokenizer=None, get_scored_model=lambda: scored)
    self_test = make_self_test(task, answer, {})
    variable.assign(tf.constant(then, dtype))
    assert bool(self_test()["passed"]) is passes


def test_a_task_without_texts_has_no_slots(lm, tmp_path):
    with pytest.raises(ValueError, match="`continuous_batching` must be False.*a CausalLM"):
        lmzoo.tasks.CausalLM(lm.backbone).export(tmp_path / "1", continuous_batching=True)
