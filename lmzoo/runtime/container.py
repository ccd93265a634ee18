"""Exported files of strangers: the parts of a .tflite or a .litertlm, found without a copy of them.

A .tflite is a flatbuffer with named metadata; a .litertlm is a header and sections, one of which is
a .tflite. Nothing here trusts a number of the file: each is compared with the file's size first.
Reference: the schema of TensorFlow Lite,
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs,
and that of LiteRT-LM,
https://github.com/google-ai-edge/LiteRT-LM/blob/main/schema/core/litertlm_header_schema.fbs.
"""

import dataclasses
import mmap
import pathlib
import struct
import zlib

from .flatbuffer import read_root
from .manifest import Manifest

__all__ = [
    *("MANIFEST_NAME", "MAX_TOKENIZER_BYTES", "TOKENIZER_NAME", "ModelFile", "TensorSpec"),
    *("open_model_file", "read_metadata", "read_signatures"),
]

# What the entries of `Model.metadata` are called.
MANIFEST_NAME, TOKENIZER_NAME = "lmzoo_manifest", "lmzoo_tokenizer"
MAX_TOKENIZER_BYTES = 64 << 20
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 20
# Of a model's metadata and signatures, of sections, of a signature's tensors, of a shape's sizes.
_MAX_ENTRIES, _MAX_TENSORS, _MAX_RANK = 256, 4096, 8
# Magic number, version, padding, where the header ends.
_START = struct.Struct("<8sIIIIQ")
_SIZE = struct.Struct("<Q")
# Numbers of the enumerations in the two schemas.
_TFLITE_SECTION, _SENTENCE_PIECE_SECTION, _TOKENIZER_JSON_SECTION = 3, 4, 6
_DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 9: "int8"}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """What a signature takes or gives under one name.

    Attributes:
        dtype: str, such as "float32".
        shape: tuple of int; -1 where a size may be chosen.
    """

    dtype: str
    shape: tuple


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """An exported file, opened.

    Attributes:
        path: pathlib.Path.
        kind: str. "tflite" or "litertlm".
        manifest: Manifest.
        signatures: dict of str to (dict of str to TensorSpec, the same): inputs and outputs.
        tokenizer: bytes or None. The tokenizer's file.
        model: memoryview. The .tflite, mapped into memory and not read.
        num_bytes: int. The size of the file.
    """

    path: pathlib.Path
    kind: str
    manifest: Manifest
    signatures: dict
    tokenizer: bytes
    model: memoryview
    num_bytes: int


def open_model_file(path):
    """Opens a .tflite or .litertlm of lmzoo; its kind is read from its content.

    Args:
        path: str or path.
    Returns:
        ModelFile.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no such file, cut off, or not made by lmzoo.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be a .tflite or .litertlm file. Received: {str(path)!r:.200}."
        )
    num_bytes = path.stat().st_size
    if num_bytes < _START.size:
        raise ValueError(
            f"`path` must be a .tflite or .litertlm file. Received: {str(path)!r:.200}, which has "
            f"{num_bytes} bytes."
        )
    with open(path, "rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        kind = "litertlm" if data[:8] == b"LITERTLM" else "tflite"
        sections = _read_sections(data) if kind == "litertlm" else {_TFLITE_SECTION: data}
        model = sections[_TFLITE_SECTION]
        metadata = read_metadata(model)
        if MANIFEST_NAME not in metadata:
            raise ValueError(
                f"it must have the metadata {MANIFEST_NAME!r}, as every file that lmzoo exports. "
                f"Received: {', '.join(metadata) or 'no metadata'!s:.200}"
            )
        manifest = Manifest.from_json(_bounded(metadata[MANIFEST_NAME], _MAX_MANIFEST_BYTES))
        tokenizer = None
        if manifest.tokenizer is not None:
            tokenizer = _read_tokenizer(manifest.tokenizer.file, kind, sections, metadata)
        signatures = read_signatures(model)
    except (ValueError, zlib.error) as error:
        raise ValueError(
            f"`path` must be a whole file that lmzoo exported. Received: {str(path)!r:.200}, where "
            f"this does not hold: {error}"
        ) from error
    return ModelFile(path, kind, manifest, signatures, tokenizer, model, num_bytes)


def read_metadata(model):
    """The named metadata of a .tflite.

    Args:
        model: memoryview of the whole file.
    Returns:
        dict of str to memoryview.
    Raises:
        ValueError: if it is no .tflite, or cut off.
    """
    root, found = _read_model(model), {}
    for entry in root.tables(6, _MAX_ENTRIES):
        name = entry.string(0)
        buffer = root.table_at(4, entry.scalar(1, "uint32"))
        content = buffer.bytes(0)
        # A model of more than 2 GiB has its buffers behind the flatbuffer.
        offset, size = buffer.scalar(1, "uint64"), buffer.scalar(2, "uint64")
        if content is None and offset > 1:
            if offset + size > len(model):
                raise ValueError(
                    f"a buffer must end within {len(model)} bytes. Received: {size} bytes at "
                    f"{offset}"
                )
            content = model[offset : offset + size]
        if name is not None and content is not None:
            found[name] = content
    return found


def read_signatures(model):
    """The signatures of a .tflite.

    Args:
        model: memoryview of the whole file.
    Returns:
        dict of str to (inputs, outputs), each a dict of str to TensorSpec.
    Raises:
        ValueError: if it is no .tflite, or cut off.
    """
    root = _read_model(model)
    found = {}
    for signature in root.tables(7, _MAX_ENTRIES):
        graph = root.table_at(2, signature.scalar(4, "uint32"))
        sides = tuple(_read_side(signature, graph, side) for side in (0, 1))
        found[signature.string(2) or ""] = sides
    return found


def _read_side(signature, graph, side):
    found = {}
    for entry in signature.tables(side, _MAX_TENSORS):
        tensor = graph.table_at(0, entry.scalar(1, "uint32"))
        # The signature of the shape has -1 where the shape itself has some size.
        shape = tensor.numbers(7, _MAX_RANK) or tensor.numbers(0, _MAX_RANK)
        number = tensor.scalar(1, "int8")
        found[entry.string(0) or ""] = TensorSpec(_DTYPES.get(number, f"type {number}"), shape)
    return found


def _read_model(model):
    if len(model) < 8 or model[4:8] != b"TFL3":
        raise ValueError(
            f"a .tflite must begin with TFL3 at byte 4. Received: {bytes(model[4:8])!r}"
        )
    return read_root(model)


def _read_sections(data):
    """The sections of a .litertlm by their type, one of each."""
    _, major, minor, patch, _, end = _START.unpack_from(data)
    if major != 1:
        raise ValueError(
            f"a .litertlm must be of version 1. Received: version {major}.{minor}.{patch}"
        )
    if not _START.size < end <= min(len(data), _MAX_HEADER_BYTES):
        raise ValueError(
            f"the header of a .litertlm must end within its {len(data)} bytes and the first "
            f"{_MAX_HEADER_BYTES}. Received: byte {end}"
        )
    metadata = read_root(data[_START.size : end]).table(1)
    entries = [] if metadata is None else metadata.tables(0, _MAX_ENTRIES)
    found = {}
    for entry in entries:
        begin, end = entry.scalar(1, "uint64"), entry.scalar(2, "uint64")
        kind = entry.scalar(3, "uint8")
        if not begin <= end <= len(data):
            raise ValueError(
                f"a section must end within {len(data)} bytes. Received: bytes {begin} to {end}"
            )
        if kind in found and kind == _TFLITE_SECTION:
            raise ValueError("a .litertlm must have one model. Received: a second one")
        found[kind] = data[begin:end]
    if _TFLITE_SECTION not in found:
        raise ValueError(f"a .litertlm must have a model. Received: sections {sorted(found)}")
    return found


def _read_tokenizer(name, kind, sections, metadata):
    """The bytes of the tokenizer's file: of a .litertlm the section, else the metadata."""
    if kind == "tflite":
        if TOKENIZER_NAME not in metadata:
            raise ValueError(f"it must have the metadata {TOKENIZER_NAME!r}. Received: none")
        return _bounded(metadata[TOKENIZER_NAME], MAX_TOKENIZER_BYTES)
    section = _TOKENIZER_JSON_SECTION if name == "tokenizer.json" else _SENTENCE_PIECE_SECTION
    if section not in sections:
        raise ValueError(
            f"it must have a section for {name}. Received: sections {sorted(sections)}"
        )
    content = sections[section]
    if section == _SENTENCE_PIECE_SECTION:
        return _bounded(content, MAX_TOKENIZER_BYTES)
    return _inflate(content)


def _inflate(content):
    """zlib data behind its size, as LiteRT-LM writes a tokenizer.json."""
    if len(content) < _SIZE.size:
        raise ValueError(f"a compressed section must have a size. Received: {len(content)} bytes")
    (size,) = _SIZE.unpack_from(content)
    if size > MAX_TOKENIZER_BYTES:
        raise ValueError(
            f"a tokenizer must have at most {MAX_TOKENIZER_BYTES} bytes. Received: {size}"
        )
    # One byte more than announced would be seen, and no more than that is ever made.
    data = zlib.decompressobj().decompress(content[_SIZE.size :], size + 1)
    if len(data) != size:
        raise ValueError(
            f"a section must have the {size} bytes it announces. Received: {len(data)}"
        )
    return data


def _bounded(content, limit):
    if len(content) > limit:
        raise ValueError(f"a part must have at most {limit} bytes. Received: {len(content)}")
    return bytes(content)
