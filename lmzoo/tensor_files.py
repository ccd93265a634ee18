"""The safetensors format: its dtypes, and the bytes of a file."""

import json

import ml_dtypes
import numpy as np

__all__ = ["DTYPES", "FLOATS", "iterate_file"]

# In the order of the tensors in a file.
FLOATS = {
    "F64": np.float64,
    "F32": np.float32,
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
}
DTYPES = FLOATS | {
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


def iterate_file(tensors, metadata=None, check=None):
    """The bytes of a file, a tensor at a time, without a copy of those in C order.

    Args:
        tensors: dict of name -> NumPy array of any dtype that safetensors has.
        metadata: dict of str to str, or None.
        check: callable of name and array, called before the bytes of each tensor, or None.
    Yields:
        bytes or memoryview.
    """
    kinds = {np.dtype(dtype): kind for kind, dtype in DTYPES.items()}
    ranks = {kind: rank for rank, kind in enumerate(DTYPES)}

    def rank(name):
        array = tensors[name]
        # Wide ones first, so that each begins at a multiple of its width.
        return -array.dtype.itemsize, ranks[kinds[array.dtype]], name

    header, end = {} if metadata is None else {"__metadata__": metadata}, 0
    names = sorted(tensors, key=rank)
    for name in names:
        start, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": kinds[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in names:
        array = np.ascontiguousarray(tensors[name])
        if check is not None:
            check(name, array)
        yield memoryview(array.reshape(-1).view(np.uint8))
