"""Small .tflite and .litertlm files, made without TensorFlow."""

import struct
import zlib

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from lmzoo.runtime.container import MANIFEST_NAME, TOKENIZER_NAME
from lmzoo.runtime.manifest import Manifest, TokenizerSpec

_FLOAT32, _INT32 = 0, 2
_BLOCK = 16 * 1024


def make_tokenizer_spec(**changes):
    values = {
        "kind": "byte_pair",
        "file": "tokenizer.json",
        "vocabulary_size": 300,
        "start_token_id": None,
        "end_token_id": 0,
        "pad_token_id": 0,
        "unknown_token_id": None,
        "mask_token_id": None,
        "special_tokens": {"<|endoftext|>": 0},
    }
    return TokenizerSpec(**{**values, **changes})


def make_manifest(**changes):
    values = {
        "task": "CausalLM",
        "parameters": 1000,
        "quantization": None,
        "vocabulary_size": 320,
        "max_sequence_length": 64,
        "tokenizer": make_tokenizer_spec(),
        "task_options": {},
        "end_token_ids": (0,),
        "generation_defaults": {"temperature": 0.5},
        "lmzoo_version": "0.1.0",
    }
    return Manifest(**{**values, **changes})


def make_tflite(metadata, name="decode"):
    """A model whose one signature adds a tensor (-1, 4) to itself."""
    buffers = [schema.BufferT(), *(schema.BufferT() for _ in metadata)]
    for buffer, content in zip(buffers[1:], metadata.values(), strict=True):
        buffer.data = list(content)
    tensors = []
    for tensor_name in ("tokens", "logits"):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = tensor_name, _FLOAT32, [1, 4]
        tensor.shapeSignature, tensor.buffer = [-1, 4], 0
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
    operator.builtinOptions = schema.AddOptionsT()
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs = tensors, [0], [1]
    graph.operators = [operator]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = name, 0
    signature.inputs, signature.outputs = [], []
    for side, index in ((signature.inputs, 0), (signature.outputs, 1)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = tensors[index].name, index
        side.append(entry)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], buffers
    model.operatorCodes, model.signatureDefs = [code], [signature]
    model.metadata = []
    for index, key in enumerate(metadata, 1):
        entry = schema.MetadataT()
        entry.name, entry.buffer = key, index
        model.metadata.append(entry)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def make_task_file(manifest=None, tokenizer=b"{}"):
    """A .tflite of lmzoo."""
    metadata = {MANIFEST_NAME: (manifest or make_manifest()).to_json()}
    return make_tflite(metadata if tokenizer is None else {**metadata, TOKENIZER_NAME: tokenizer})


def make_litertlm(sections, version=1, move=0):
    """A .litertlm of sections, (type, bytes) each; `move` is added to where each begins."""
    header_end, begins = _BLOCK, []
    place = _BLOCK
    for _, content in sections:
        begins.append(place)
        place += -(-len(content) // _BLOCK) * _BLOCK
    builder = flatbuffers.Builder(1024)
    entries = []
    for begin, (kind, content) in zip(begins, sections, strict=True):
        builder.StartObject(4)
        builder.PrependUint64Slot(1, begin + move, 0)
        builder.PrependUint64Slot(2, begin + len(content), 0)
        builder.PrependUint8Slot(3, kind, 0)
        entries.append(builder.EndObject())
    builder.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        builder.PrependUOffsetTRelative(entry)
    objects = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, objects, 0)
    metadata = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, metadata, 0)
    builder.Finish(builder.EndObject())
    header = bytes(builder.Output())
    start = struct.pack("<8sIIIIQ", b"LITERTLM", version, 5, 0, 0, header_end)
    file = bytearray((start + header).ljust(header_end, b"\0"))
    for begin, (_, content) in zip(begins, sections, strict=True):
        file += bytes(begin - len(file)) + content
    return bytes(file)


def compress(content, announced=None):
    """A section of a tokenizer.json."""
    size = len(content) if announced is None else announced
    return struct.pack("<Q", size) + zlib.compress(content)
