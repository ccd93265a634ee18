"""Reading and writing safetensors files; the whole header is checked before a tensor is read."""

import json
import math
import os
from typing import NamedTuple

import numpy as np

from lmzoo.json_files import SURROGATE
from lmzoo.tensor_files import DTYPES, iterate_file

__all__ = [
    *("MAX_HEADER_BYTES", "TensorInfo", "count_bytes", "is_finite", "parse_header"),
    *("read_header", "read_into", "read_tensor", "write_tensors"),
]

# Some 5,000 tensors fit. Parsing takes at most 0.1 s, whatever it holds.
MAX_HEADER_BYTES = 2**19
_MAX_RANK = 8
# A chunk stays in the processor's cache between reading and checking.
_CHUNK_BYTES = 2**19
_MAX_HOLES, _MAX_HOLE_BYTES = 10_000, 2**30
# First bytes of other formats. None is ever opened: most can run code.
_SIGNATURES = {
    **{bytes((0x80, protocol)): "a pickle" for protocol in range(1, 6)},
    b"PK\3\4": "a zip archive, as pickles of torch and .keras files are",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x1f\x8b": "gzip",
}
_ITEM_SIZES = {name: np.dtype(dtype).itemsize for name, dtype in DTYPES.items()}


class TensorInfo(NamedTuple):
    """One entry of a header.

    path: str or path. The file.
    dtype: str. A key of safetensors' own, such as "F32".
    shape: tuple of int.
    start: int. Offset of the tensor's first byte in the file.
    """

    path: os.PathLike | str
    dtype: str
    shape: tuple
    start: int


def read_header(path):
    """Reads the header of a file and checks it against the file's size.

    Args:
        path: path of a .safetensors file.
    Returns:
        dict of name -> TensorInfo.
    Raises:
        ValueError: if the file is truncated, not safetensors, or sparse with over 1 GiB of holes.
    Reference: https://github.com/huggingface/safetensors, "Format".
    """
    with open(path, "rb") as file:
        infos = parse_header(path, file, os.path.getsize(path))
        _check_holes(path, file)
    return infos


def parse_header(path, file, size):
    """Parses a header, of a local or a remote file, and checks it against the file's size.

    Args:
        path: path of the file, for errors.
        file: file object at its first byte. At most 8 + `MAX_HEADER_BYTES` bytes are read.
        size: int. The size of the whole file in bytes.
    Returns, Raises: as `read_header`.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or not 2 <= length <= size - 8:
        _refuse_header(path, start, f"its header of {length} bytes does not fit {size} bytes")
    if length > MAX_HEADER_BYTES:
        _refuse_header(
            path, start, f"its header of {length} bytes is over {MAX_HEADER_BYTES} bytes"
        )
    text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        _refuse_header(path, start, f"its header cannot be read ({error!s:.120})")
    if not isinstance(header, dict):
        _refuse(path, "its header is not an object")
    if SURROGATE.search("".join(header)):
        _refuse(path, "a name in its header is not Unicode text")
    # It holds the format and the names of shared tensors. Neither is needed.
    header.pop("__metadata__", None)
    infos = {name: _read_entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_offsets(path, infos, 8 + length, size)
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
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(path, f"{name!r:.80} has the unknown dtype {dtype!r:.40}")
    numbers = (*shape, start, end)
    if len(shape) > _MAX_RANK or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        _refuse(path, f"{name!r:.80} has impossible sizes")
    if end - start != count_bytes(dtype, shape):
        _refuse(path, f"{name!r:.80} of shape {shape} does not fit its {end - start} bytes")
    return TensorInfo(path, dtype, shape, first + start)


def _check_offsets(path, infos, end, size):
    """Tensors must follow each other without overlap or gap up to the end of the file."""
    sizes = sorted((info.start, count_bytes(info.dtype, info.shape)) for info in infos.values())
    for start, count in sizes:
        if start != end:
            _refuse(path, f"its tensors overlap or leave a gap at byte {min(start, end)}")
        end = start + count
    if end != size:
        _refuse(
            path,
            f"its tensors end at byte {end} of {size}; it was truncated or added to. Copy it again",
        )


def _check_holes(path, file):
    """Refuses a sparse file, which takes no disk and asks for any amount of memory.

    A copy may turn long runs of zeros into holes, so that some are usual.
    """
    status, number = os.fstat(file.fileno()), file.fileno()
    on_disk = 512 * getattr(status, "st_blocks", status.st_size)
    if status.st_size - on_disk <= _MAX_HOLE_BYTES or not hasattr(os, "SEEK_HOLE"):
        return
    # A file system that compresses has few blocks too, and no holes.
    end = holes = 0
    for _ in range(_MAX_HOLES):
        start = os.lseek(number, end, os.SEEK_HOLE)
        if start >= status.st_size:
            return
        try:
            end = os.lseek(number, start, os.SEEK_DATA)
        except OSError:
            end = status.st_size
        holes += end - start
        if holes > _MAX_HOLE_BYTES:
            break
    _refuse(
        path,
        f"it is sparse, {on_disk} of its {status.st_size} bytes are on the disk. Download it "
        "again, or copy it with `cp --sparse=never`",
    )


def count_bytes(dtype, shape):
    """Size of a tensor in bytes; `dtype` is a name such as "F32"."""
    return math.prod(shape) * _ITEM_SIZES[dtype]


def _refuse_header(path, start, reason):
    # Only for a file that is refused anyway: the length of a good header may begin with the same
    # bytes as another format.
    for first, kind in _SIGNATURES.items():
        if start.startswith(first):
            reason = (
                f"it is {kind}, and lmzoo never opens one. Save the model as safetensors where it "
                "comes from"
            )
    _refuse(path, reason)


def _refuse(path, reason):
    raise ValueError(f"{os.fspath(path)!r} is not a whole safetensors file: {reason}.") from None


def read_tensor(info, name=None):
    """Reads one tensor into a new NumPy array in the dtype of the file.

    Args:
        info: TensorInfo, as `read_header` gives it.
        name: str or None, as for `read_into`.
    Raises:
        ValueError: as `read_into`.
    """
    array = np.empty(info.shape, DTYPES[info.dtype])
    read_into(info, array, name)
    return array


def read_into(info, array, name=None):
    """Reads one tensor into an array.

    Args:
        info: TensorInfo, as `read_header` gives it.
        array: NumPy array of the same shape and dtype, contiguous in C order.
        name: str or None. If given, values that are NaN or infinite raise an error with this name.
    Raises:
        ValueError: if the file has been truncated since, or values are not finite.
    """
    # Read, not mapped. If a file is truncated meanwhile, the mapped reader of the safetensors
    # library ends the process (SIGBUS). It also keeps the file's pages beside the copies, 1.3 times
    # the weights in all. Its unmapped reader takes twice as long: it fills buffers with zeros.
    flat = array.reshape(-1)
    count = _CHUNK_BYTES // array.itemsize
    with open(info.path, "rb", buffering=0) as file:
        file.seek(info.start)
        for start in range(0, flat.size, count):
            chunk = flat[start : start + count]
            if file.readinto(memoryview(chunk.view(np.uint8))) != chunk.nbytes:
                _refuse(info.path, "it was truncated while it was read")
            if name is not None and not is_finite(chunk):
                raise ValueError(
                    f"{name!r:.80} in {str(info.path)!r} must hold finite values. Received: NaN or "
                    "infinity. Load an earlier checkpoint of the model; `lmzoo.hub.verify` counts "
                    "such values in all tensors."
                )


def is_finite(values):
    """Whether an array of a float dtype has neither NaN nor infinity.

    NaN and infinity have the largest bit patterns. Read as signed integers, negative floats are
    negative, so the maximum is that of the positive ones. Read as unsigned integers, negative
    floats come last. On floats of 16 bits this is twelve times as fast as `np.isfinite`.

    Args:
        values: NumPy array.
    Returns:
        bool.
    """
    if values.size == 0:
        return True
    bits = 8 * values.itemsize
    infinity = int(np.array(np.inf, values.dtype).view(f"u{values.itemsize}"))
    values = values.reshape(-1)
    return bool(
        values.view(f"i{values.itemsize}").max() < infinity
        and values.view(f"u{values.itemsize}").max() < infinity | 1 << bits - 1
    )


def write_tensors(path, tensors):
    """Writes weights. The same tensors give the same bytes, those of the safetensors library.

    Args:
        path: path of the file.
        tensors: dict of name -> NumPy array of a float dtype. Arrays that are not contiguous in C
            order are copied, one at a time.
    Raises:
        ValueError: if a value is NaN or infinite.
    """

    def check(name, array):
        if not is_finite(array):
            raise ValueError(
                f"The weights must be finite. Received: NaN or infinity in {name!r:.80}. Save "
                "an earlier checkpoint: training has diverged."
            )

    with open(path, "wb") as file:
        # transformers refuses files without a format.
        for chunk in iterate_file(tensors, {"format": "pt"}, check):
            file.write(chunk)
