"""The content of a .tflite file, read and changed as objects.

The classes are those that the schema of the format generates; TensorFlow brings them.
"""

import collections
import hashlib

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

__all__ = [
    "add_metadata",
    "list_ops",
    "open_model",
    "pack_model",
    "rewrite_lookups",
    "share_buffers",
]

_IDENTIFIER = b"TFL3"
_OPS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


def open_model(content):
    """Reads a .tflite file.

    Args:
        content: bytes.
    Returns:
        ModelT, whose buffers look into `content`.
    """
    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack_model(model):
    """Writes a model: ModelT to bytes."""
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(size + (1 << 20))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def list_ops(model):
    """How often each kind of op occurs, over all signatures: dict of name to int, by name."""
    kinds = [_OPS.get(_builtin_code(code), "CUSTOM") for code in model.operatorCodes]
    count = collections.Counter(
        kinds[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators
    )
    return dict(sorted(count.items()))


def _builtin_code(code):
    # Codes above 127 stand in the second field alone.
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def share_buffers(model):
    """Lets tensors of equal content share one buffer, so that each weight is stored once."""
    first, place = {}, {}
    for index, buffer in enumerate(model.buffers):
        if buffer.data is not None and len(buffer.data) >= 64:
            digest = hashlib.blake2b(memoryview(buffer.data), digest_size=20).digest()
            place[index] = first.setdefault(digest, index)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = place.get(tensor.buffer, tensor.buffer)
    for index, kept in place.items():
        if index != kept:
            model.buffers[index].data = None


def rewrite_lookups(model):
    """Turns look-ups by a flat list of ids in a large table into EMBEDDING_LOOKUP.

    Of that op the quantizer stores the table as it stores a head's weights, row by row, so that
    both share one buffer.
    """
    gather, lookup = schema.BuiltinOperator.GATHER, schema.BuiltinOperator.EMBEDDING_LOOKUP
    codes = [_builtin_code(code) for code in model.operatorCodes]
    if gather not in codes:
        return
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = lookup
    code.version = 1
    new_index = len(model.operatorCodes)
    used = False
    for graph in model.subgraphs:
        for op in graph.operators:
            if codes[op.opcodeIndex] != gather or not _is_table_lookup(model, graph, op):
                continue
            table, ids = op.inputs[:2]
            op.opcodeIndex, op.inputs = new_index, [ids, table]
            op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.NONE, None
            used = True
    if used:
        model.operatorCodes.append(code)


def _is_table_lookup(model, graph, op):
    table, ids = (graph.tensors[index] for index in op.inputs[:2])
    options = op.builtinOptions
    is_constant = model.buffers[table.buffer].data is not None
    return (
        is_constant
        and len(table.shape) == 2
        and len(ids.shape) == 1
        and ids.type == schema.TensorType.INT32
        and options.axis == 0
        and options.batchDims == 0
    )


def add_metadata(model, name, content):
    """Adds an entry to the metadata of a model.

    Args:
        model: ModelT.
        name: str.
        content: bytes.
    """
    buffer = schema.BufferT()
    buffer.data = list(content) if not content else _to_array(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def _to_array(content):
    import numpy as np

    return np.frombuffer(content, np.uint8)
