"""The content of a .tflite file, read and changed as objects.

The classes are those that the schema of the format generates; TensorFlow brings them.
"""

import collections
import hashlib

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

__all__ = [
    "SMALLEST_TABLE",
    *("add_metadata", "add_op_code", "list_ops", "list_weights", "name_op", "open_model"),
    *("pack_model", "rewrite_lookups", "schema", "share_buffers"),
]

_IDENTIFIER = b"TFL3"
# The least size of a buffer that stands behind the flatbuffer, and what its place divides by.
_LARGE, _ALIGNMENT = 1024, 64
# Fewer weights, as those of T5's distances, are not worth fewer bits.
SMALLEST_TABLE = 4096
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
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        # Large buffers may stand behind the flatbuffer; 0 and 1 mean that they do not.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def pack_model(model):
    """Writes a model: ModelT to bytes.

    Large buffers are put behind the flatbuffer, where they are aligned for the kernels that read
    them in place. There is no limit to their size.
    """
    _share_quantization(model)
    large = [b for b in model.buffers if b.data is not None and len(b.data) >= _LARGE]
    contents = [np.asarray(buffer.data, np.uint8) for buffer in large]
    for buffer in large:
        # Any value that is not the default one takes the place of the real one.
        buffer.data, buffer.offset, buffer.size = None, 2, 2
    end = _align(len(_pack(model)))
    for buffer, content in zip(large, contents, strict=True):
        buffer.offset, buffer.size = end, len(content)
        end = _align(end + len(content))
    packed = bytearray(end)
    head = _pack(model)
    packed[: len(head)] = head
    for buffer, content in zip(large, contents, strict=True):
        packed[buffer.offset : buffer.offset + buffer.size] = memoryview(content)
        buffer.data, buffer.offset, buffer.size = content, 0, 0
    return bytes(packed)


def _pack(model):
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return builder.Output()


def _share_quantization(model):
    """Lets tensors of equal quantization share its table.

    A table has 12 bytes for each channel, and a weight is a tensor in each signature: of GPT-2
    small in int8 with three signatures the copies are 3 % of the file.
    """
    first = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None:
                shared = _SharedTable(tensor.quantization)
                tensor.quantization = first.setdefault(shared.key, shared)


class _SharedTable:
    """A table that is written once in each flatbuffer; later references point to it."""

    def __init__(self, table):
        self.table = table.table if isinstance(table, _SharedTable) else table
        self.key = _make_key(self.table)
        self._builder = self._position = None

    def Pack(self, builder):  # noqa: N802
        if self._builder is not builder:
            self._builder, self._position = builder, self.table.Pack(builder)
        return self._position

    def __getattr__(self, name):
        return getattr(self.table, name)


def _make_key(value):
    """The content of a generated object as nested tuples."""
    if hasattr(value, "__dict__"):
        fields = ((name, _make_key(field)) for name, field in sorted(vars(value).items()))
        return (type(value).__name__, *fields)
    return np.asarray(value).tobytes() if isinstance(value, np.ndarray | list) else value


def _align(position):
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def list_ops(model):
    """How often each kind of op occurs, over all signatures: dict of name to int, by name."""
    count = collections.Counter(
        name_op(model, op) for graph in model.subgraphs for op in graph.operators
    )
    return dict(sorted(count.items()))


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
    """Turns look-ups by a flat list of ids in a table into EMBEDDING_LOOKUP.

    Of that op the quantizer stores the table as it stores a head's weights, row by row, so that
    both share one buffer.
    """
    chosen = [
        (op, graph)
        for graph in model.subgraphs
        for op in graph.operators
        if name_op(model, op) == "GATHER" and _is_table_lookup(model, graph, op)
    ]
    if not chosen:
        return
    code = add_op_code(model, "EMBEDDING_LOOKUP")
    for op, _ in chosen:
        table, ids = op.inputs[:2]
        op.opcodeIndex, op.inputs = code, [ids, table]
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.NONE, None


def add_op_code(model, name, version=1):
    """Adds a kind of op to a model.

    Args:
        model: ModelT.
        name: str, as in the schema's BuiltinOperator.
        version: int. Of the op.
    Returns:
        int. Its `opcodeIndex`.
    """
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def name_op(model, op):
    """The kind of an op: str, as in the schema's BuiltinOperator."""
    code = model.operatorCodes[op.opcodeIndex]
    # Codes above 127 stand in the second field alone.
    return _OPS.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")


def list_weights(model, graph):
    """The float32 weights of matrix products and look-ups: list of (op, place in its inputs)."""
    return [
        (op, 1)
        for op in graph.operators
        if name_op(model, op) in ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")
        and graph.tensors[op.inputs[1]].type == schema.TensorType.FLOAT32
        and model.buffers[graph.tensors[op.inputs[1]].buffer].data is not None
    ]


def _is_table_lookup(model, graph, op):
    table, ids = (graph.tensors[index] for index in op.inputs[:2])
    options = op.builtinOptions
    return (
        model.buffers[table.buffer].data is not None
        and table.type == schema.TensorType.FLOAT32
        and len(table.shape) == 2
        and table.shape[0] * table.shape[1] >= SMALLEST_TABLE
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
    buffer.data = np.frombuffer(content, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
