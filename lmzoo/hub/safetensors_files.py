"""Reading and writing .safetensors: the header is checked before a byte of a tensor is read."""

import json
import math
import os
from typing import NamedTuple

import ml_dtypes
import numpy as np
import safetensors.numpy

__all__ = ["FLOATS", "TensorInfo", "read_header", "read_tensor", "write_tensors"]

# 20,000 tensors fit. Parsed, this takes some 20 MB.
_LARGEST_HEADER = 2 * 2**20
_MAX_RANK = 8
FLOATS = {
    "F64": np.float64,
    "F32": np.float32,
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
}
_DTYPES = FLOATS | {
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


class TensorInfo(NamedTuple):
    """A tensor that is still in its file.

    dtype: str, as safetensors has it.
    shape: tuple of int.
    start: int. The place of its first byte in the file.
    """

    dtype: str
    shape: tuple
    start: int


def read_header(path):
    """What a file holds, checked against its size.

    Args:
        path: path of a .safetensors file.
    Returns:
        dict of name -> TensorInfo.
    Raises:
        ValueError: if the file is truncated or is not safetensors; it names the file.
    Reference: https://github.com/huggingface/safetensors, "Format".
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= size - 8:
            _refuse(path, f"its header of {length} bytes does not fit {size} bytes")
        if length > _LARGEST_HEADER:
            _refuse(path, f"its header of {length} bytes is over {_LARGEST_HEADER} bytes")
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"its header cannot be read ({error!s:.120})")
    if not isinstance(header, dict):
        _refuse(path, "its header is not an object")
    # Only "format" and the names of shared tensors are ever in it, and we need neither.
    header.pop("__metadata__", None)
    infos = {name: _read_entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_places(path, infos, 8 + length, size)
    return infos


def _make_object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _read_entry(path, name, entry, first):
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        start, end = entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        _refuse(path, f"the entry of {name!r:.80} is malformed")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _refuse(path, f"{name!r:.80} has the unknown dtype {dtype!r:.40}")
    numbers = (*shape, start, end)
    if len(shape) > _MAX_RANK or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        _refuse(path, f"{name!r:.80} has impossible sizes")
    if end - start != _count_bytes(dtype, shape):
        _refuse(path, f"{name!r:.80} of shape {shape} does not fit its {end - start} bytes")
    return TensorInfo(dtype, shape, first + start)


def _check_places(path, infos, place, size):
    for start, end in sorted((info.start, _end_of(info)) for info in infos.values()):
        if start != place:
            _refuse(path, f"its tensors overlap or leave a gap at byte {min(start, place)}")
        place = end
    if place != size:
        _refuse(
            path,
            f"its tensors end at byte {place} of {size}; it was truncated or added to. "
            "Copy it again",
        )


def _end_of(info):
    return info.start + _count_bytes(info.dtype, info.shape)


def _count_bytes(dtype, shape):
    return math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize


def _refuse(path, reason):
    raise ValueError(f"{os.fspath(path)!r} is not a whole safetensors file: {reason}.") from None


def read_tensor(path, info):
    """One tensor as a NumPy array in the dtype of the file.

    Args:
        path: path of a .safetensors file.
        info: TensorInfo, as `read_header` gives it for this file.
    Raises:
        ValueError: if the file has become shorter since.
    """
    count = _count_bytes(info.dtype, info.shape)
    # Read, not mapped: a file that is cut off meanwhile is then an error and not a crash.
    raw = np.fromfile(path, np.uint8, count, offset=info.start)
    if raw.size != count:
        _refuse(path, f"it was truncated while it was read, {count - raw.size} bytes are missing")
    return raw.view(_DTYPES[info.dtype]).reshape(info.shape)


def write_tensors(path, tensors):
    """Writes tensors; the same ones always give the same bytes, which are those of safetensors.

    Args:
        path: path of the file.
        tensors: dict of name -> NumPy array of a float dtype.
    """
    # transformers refuses files without a format.
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    safetensors.numpy.save_file(arrays, path, metadata={"format": "pt"})
    # The library gives the owner alone the right to read.
    os.chmod(path, 0o644)
