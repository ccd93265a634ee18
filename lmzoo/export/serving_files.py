"""What lies beside the graph of a SavedModel: warm-up records, a chat template, a model card.

Reference: https://www.tensorflow.org/tfx/serving/saved_model_warmup; the protos are read at
https://github.com/tensorflow/serving in `tensorflow_serving/apis`: prediction_log.proto,
predict.proto and model.proto.
"""

import json

import numpy as np
import tensorflow as tf

import lmzoo
from lmzoo.export.slot_signatures import describe_chat

__all__ = ["encode_prediction_log", "write_serving_files"]

_FOLDER, _WARMUP, _CHAT = "assets.extra", "tf_serving_warmup_requests", "chat.json"
# The numbers of the fields: PredictionLog.predict_log, PredictLog.request, PredictRequest's
# model_spec and inputs, ModelSpec's name and signature_name, and those of an entry of a map.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS = 6, 1, 1, 2
_NAME, _SIGNATURE_NAME, _KEY, _VALUE = 1, 3, 1, 2


def write_serving_files(folder, task, signatures, requests, name, quantization):
    """Writes them into the folder of a SavedModel.

    Args:
        folder: pathlib.Path.
        task: a task of `lmzoo.tasks`.
        signatures: dict of name to tf.function.
        requests: list of (signature name, dict of NumPy arrays). What a server is warmed up with.
        name: str. Of the model.
        quantization: str or None.
    """
    extra = folder / _FOLDER
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / _WARMUP)) as writer:
        for signature, inputs in requests:
            specs = tf.nest.flatten(signatures[signature].input_signature)
            dtypes = {spec.name: spec.dtype for spec in specs}
            protos = {
                key: tf.make_tensor_proto(value, dtypes[key]) for key, value in inputs.items()
            }
            writer.write(encode_prediction_log(name, signature, protos))
    chat = describe_chat(task.tokenizer) if task.is_generative else None
    if chat is not None:
        (extra / _CHAT).write_text(json.dumps(chat, ensure_ascii=False), encoding="utf-8")
    card = _write_card(task, signatures, name, quantization)
    (folder / "README.md").write_text(card, encoding="utf-8")


def encode_prediction_log(name, signature, inputs):
    """A PredictionLog of one request, as bytes.

    Args:
        name: str. Of the model.
        signature: str.
        inputs: dict of name to TensorProto.
    Returns:
        bytes.
    """
    spec = _field(_NAME, name.encode()) + _field(_SIGNATURE_NAME, signature.encode())
    request = _field(_MODEL_SPEC, spec)
    for key, proto in inputs.items():
        entry = _field(_KEY, key.encode()) + _field(_VALUE, proto.SerializeToString())
        request += _field(_INPUTS, entry)
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, data):
    """A field of a proto whose value has a length: strings, bytes and messages."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number):
    """Seven bits a byte, the low ones first, and a flag where more follow."""
    data = bytearray()
    while number >= 128:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def _write_card(task, signatures, name, quantization):
    model = task.get_scored_model()
    backbone = model.backbone
    tokenizer = task.tokenizer
    count = sum(int(np.prod(weight.shape)) for weight in backbone.weights)
    facts = {
        "task": type(task).__name__,
        "backbone": f"{type(backbone).__name__}, {count:,} parameters",
        "computes in": backbone.compute_dtype,
        "weights in": quantization or model.quantization or backbone.variable_dtype,
        "tokenizer": "none: ids in, ids out"
        if tokenizer is None
        else f"{type(tokenizer).__name__}, {tokenizer.vocabulary_size:,} tokens",
    }
    if model.labels is not None:
        facts["labels"] = ", ".join(str(label) for label in list(model.labels.names)[:20])
    lines = [
        *(f"# {name}", "", f"Exported by lmzoo {lmzoo.__version__} as a SavedModel.", ""),
        *(f"- {key}: {value}" for key, value in facts.items()),
        *("", "| signature | inputs |", "|---|---|"),
    ]
    for signature, function in signatures.items():
        specs = tf.nest.flatten(function.input_signature)
        inputs = ", ".join(f"`{spec.name}` {spec.dtype.name}" for spec in specs[:8])
        lines.append(f"| `{signature}` | {inputs}{', ...' if len(specs) > 8 else ''} |")
    lines += [
        *("", "```python", "import tensorflow as tf", ""),
        'served = tf.saved_model.load("this folder")',
        'assert served.signatures["self_test"]()["passed"]',
        "```",
    ]
    return "\n".join(lines) + "\n"
