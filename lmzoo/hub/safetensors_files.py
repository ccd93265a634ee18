"""Reading and writing .safetensors: the header is checked before a byte of a tensor is read."""

import json
import math
import os

import numpy as np

__all__ = ["TensorInfo", "read_header", "read_tensors", "write_tensors"]

_LARGEST_HEADER = 100 * 2**20
_ITEM_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1
}  # fmt: skip


class TensorInfo:
    """dtype (str), shape (tuple of int) of a tensor that is still in its file."""

    def __init__(self, dtype, shape):
        self.dtype = dtype
        self.shape = shape


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
        if size < 8 or not 2 <= length <= min(size - 8, _LARGEST_HEADER):
            _refuse(path, f"its header of {length} bytes does not fit {size} bytes")
        try:
            header = json.loads(file.read(length).decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise ValueError(f"{os.fspath(path)!r} has no readable safetensors header.") from error
    if not isinstance(header, dict):
        _refuse(path, "its header is not an object")
    header.pop("__metadata__", None)
    infos, spans = {}, []
    for name, entry in header.items():
        info, span = _check_entry(path, name, entry)
        infos[name] = info
        spans.append(span)
    place = 0
    for start, end in sorted(spans):
        if start != place:
            _refuse(path, f"its tensors overlap or leave a gap at byte {min(start, place)}")
        place = end
    if place != size - 8 - length:
        _refuse(
            path,
            f"its tensors take {place} bytes where {size - 8 - length} follow the header; it was "
            "truncated or added to. Copy it again",
        )
    return infos


def _check_entry(path, name, entry):
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        start, end = entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        _refuse(path, f"the entry of {name!r} is malformed")
    if dtype not in _ITEM_SIZES:
        _refuse(path, f"{name!r} has the unknown dtype {dtype!r}")
    numbers = (*shape, start, end)
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        _refuse(path, f"{name!r} has impossible sizes")
    if end - start != math.prod(shape) * _ITEM_SIZES[dtype]:
        _refuse(path, f"{name!r} of shape {shape} does not fit its {end - start} bytes")
    return TensorInfo(dtype, shape), (start, end)


def _refuse(path, reason):
    raise ValueError(f"{os.fspath(path)!r} is not a whole safetensors file: {reason}.")


def read_tensors(path):
    """Gives each tensor in turn as (name, array); one at a time is in memory.

    bfloat16 comes as float32, which holds it exactly.
    """
    import safetensors

    with safetensors.safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - not a dict
            yield name, file.get_tensor(name)


def write_tensors(path, tensors):
    """Writes a dict of name -> NumPy array; the same dict always gives the same bytes."""
    import safetensors.numpy

    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    # transformers refuses files without a format.
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
