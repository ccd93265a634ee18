"""Reading and writing .safetensors: the header is checked before a byte of a tensor is read."""

import json
import math
import os
from typing import NamedTuple

import ml_dtypes
import numpy as np

__all__ = [
    *("FLOATS", "LARGEST_HEADER", "TensorInfo", "count_bytes", "parse_header", "read_header"),
    *("read_into", "read_tensor", "write_tensors"),
]

# Some 5,000 tensors fit. Whatever is in it, it is parsed within 0.1 s.
LARGEST_HEADER = 2**19
_MAX_RANK = 8
# How files begin that are no safetensors whatever they are called, none of which is ever opened:
# most can run code of whoever made them.
_FOREIGN = {
    **{bytes((0x80, protocol)): "a pickle" for protocol in range(1, 6)},
    b"PK\3\4": "a zip archive, as pickles of torch and .keras files are",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x1f\x8b": "gzip",
}
# In the order in which a file keeps them.
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
_WIDTHS = {name: np.dtype(dtype).itemsize for name, dtype in _DTYPES.items()}


class TensorInfo(NamedTuple):
    """A tensor that is still in its file.

    path: str or path. The file.
    dtype: str, as safetensors has it.
    shape: tuple of int.
    start: int. The place of its first byte in the file.
    """

    path: os.PathLike | str
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
    with open(path, "rb") as file:
        return parse_header(path, file, os.path.getsize(path))


def parse_header(path, file, size):
    """What a file holds that may lie elsewhere, checked against its size.

    Args:
        path: path of the file, as errors name it.
        file: what has `read`, at its first byte. At most 8 and `LARGEST_HEADER` bytes are read.
        size: int. How many bytes the whole file has.
    Returns, Raises: as `read_header`.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or not 2 <= length <= size - 8:
        _refuse_header(path, start, f"its header of {length} bytes does not fit {size} bytes")
    if length > LARGEST_HEADER:
        _refuse_header(path, start, f"its header of {length} bytes is over {LARGEST_HEADER} bytes")
    text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        _refuse_header(path, start, f"its header cannot be read ({error!s:.120})")
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
    if end - start != count_bytes(dtype, shape):
        _refuse(path, f"{name!r:.80} of shape {shape} does not fit its {end - start} bytes")
    return TensorInfo(path, dtype, shape, first + start)


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
    return info.start + count_bytes(info.dtype, info.shape)


def count_bytes(dtype, shape):
    """How many bytes a tensor takes; `dtype` is named as in a file."""
    return math.prod(shape) * _WIDTHS[dtype]


def _refuse_header(path, start, reason):
    # Only a file that is no safetensors is asked what else it is: the length of a good header may
    # begin with the same bytes.
    for first, kind in _FOREIGN.items():
        if start.startswith(first):
            reason = (
                f"it is {kind}, and lmzoo never opens one. Save the model as safetensors where it "
                "comes from"
            )
    _refuse(path, reason)


def _refuse(path, reason):
    raise ValueError(f"{os.fspath(path)!r} is not a whole safetensors file: {reason}.") from None


def read_tensor(info):
    """One tensor as a new NumPy array in the dtype of the file.

    Args:
        info: TensorInfo, as `read_header` gives it.
    Raises:
        ValueError: if the file has become shorter since.
    """
    array = np.empty(info.shape, _DTYPES[info.dtype])
    read_into(info, array)
    return array


def read_into(info, array):
    """Reads one tensor to where it shall be.

    Args:
        info: TensorInfo, as `read_header` gives it.
        array: NumPy array of the same shape and dtype, contiguous in C order.
    Raises:
        ValueError: if the file has become shorter since.
    """
    # Read, not mapped: where a file is cut off meanwhile, safetensors' own mapped reader ends the
    # process (SIGBUS), and it keeps the file's pages beside the copies, 1.3 times the weights. Its
    # unmapped one takes twice as long as this, since it fills its buffers with zeros first.
    target = memoryview(array.reshape(-1).view(np.uint8))
    with open(info.path, "rb") as file:
        file.seek(info.start)
        count = file.readinto(target)
    if count != array.nbytes:
        _refuse(
            info.path,
            f"it was truncated while it was read, {array.nbytes - count} bytes are missing",
        )


def write_tensors(path, tensors):
    """Writes tensors; the same ones always give the same bytes, which are those of safetensors.

    Args:
        path: path of the file.
        tensors: dict of name -> NumPy array of a float dtype. One after another is copied, and
            only where its order is not that of C.
    """
    kinds = {np.dtype(dtype): kind for kind, dtype in FLOATS.items()}
    ranks = {kind: rank for rank, kind in enumerate(FLOATS)}
    # transformers refuses files without a format.
    header, end = {"__metadata__": {"format": "pt"}}, 0
    names = sorted(tensors, key=lambda name: (ranks[kinds[tensors[name].dtype]], name))
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": kinds[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            array = np.ascontiguousarray(tensors[name])
            file.write(memoryview(array.reshape(-1).view(np.uint8)))
