import gzip
import json
import os
import pickle
import random
import struct
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from lmzoo.hub.files.safetensors import is_finite, read_header, read_tensor, write_tensors
from tests.hub.hostile_safetensors import LIES, entry, make_file
from tests.speed import scale_limit

BFLOAT16 = tf.bfloat16.as_numpy_dtype
DTYPES = (np.float64, np.float32, np.float16, BFLOAT16)


@pytest.fixture
def tensors():
    generator = np.random.default_rng(0)
    shapes = {"b": (3, 5), "a": (7,), "scalar": (), "empty": (0, 4), "é": (1, 2, 3)}
    return {
        f"{name}.{np.dtype(dtype).name}": generator.normal(size=shape).astype(dtype)
        for name, shape in shapes.items()
        for dtype in DTYPES
    }


def test_what_is_written_is_read_bit_for_bit(tmp_path, tensors):
    path = tmp_path / "a.safetensors"
    write_tensors(path, tensors)
    header = read_header(path)
    assert header.keys() == tensors.keys()
    for name, array in tensors.items():
        got = read_tensor(header[name])
        assert got.dtype == array.dtype and got.shape == array.shape
        assert got.tobytes() == array.tobytes()


def test_files_are_those_of_the_safetensors_library(tmp_path, tensors):
    write_tensors(tmp_path / "ours", tensors)
    theirs = safetensors.numpy.load_file(tmp_path / "ours")
    assert {name: a.tobytes() for name, a in theirs.items()} == {
        name: a.tobytes() for name, a in tensors.items()
    }
    safetensors.numpy.save_file(tensors, tmp_path / "theirs", {"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    header = read_header(tmp_path / "theirs")
    for name, array in tensors.items():
        assert read_tensor(header[name]).tobytes() == array.tobytes()


def test_an_array_in_another_order_is_written_as_it_reads(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path / "a", {"a": array.T})
    header = read_header(tmp_path / "a")
    np.testing.assert_array_equal(read_tensor(header["a"]), array.T)


def test_others_may_read_the_file(tmp_path, tensors):
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "a", tensors)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_file_without_tensors_holds_none(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(make_file({"__metadata__": {"format": "pt"}}))
    assert read_header(path) == {}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        *((pickle.dumps({"a": 1}, protocol), "a pickle") for protocol in range(2, 6)),
        (b"PK\3\4\0\0\0\0" + bytes(2**17), "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(2**17), "HDF5"),
        (gzip.compress(random.Random(0).randbytes(2**20), mtime=0), "gzip"),
        (gzip.compress(b"a", mtime=0), "gzip"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_other_formats_are_named_by_their_content(tmp_path, content, kind):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"model.safetensors' is .*: it is {kind}.*never opens"):
        read_header(path)


def test_a_good_file_whose_length_begins_like_a_pickle_is_read(tmp_path):
    text = json.dumps({"a": entry()}).encode().ljust(0x280)
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert path.read_bytes().startswith(b"\x80\x02")
    assert read_tensor(read_header(path)["a"]).tolist() == [0, 0]


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused_by_name_and_at_once(tmp_path, lie):
    path = tmp_path / "a.safetensors"
    path.write_bytes(LIES[lie])
    tracemalloc.start()
    try:
        start = time.process_time()
        with pytest.raises(ValueError, match=r"a\.safetensors' is not a whole safetensors file: "):
            read_header(path)
        seconds = time.process_time() - start
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Without the tracer, which slows it about fivefold, all of them take under 0.1 s.
    assert seconds < scale_limit(0.5, time.process_time) and most < 50e6


def test_a_header_of_any_size_is_read_with_little_memory(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(make_file(b'{"":{}' + b',"":{}' * 100_000 + b"}"))
    with pytest.raises(ValueError, match="its header of 600007 bytes is over 524288 bytes"):
        read_header(path)
    path.write_bytes(make_file(b'{"":{}' + b',"":{}' * 85_000 + b"}"))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a key stands twice"):
            read_header(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50e6


def test_every_length_but_the_whole_is_refused(tmp_path, golden):
    whole = (golden / "model.safetensors").read_bytes()
    path = tmp_path / "a.safetensors"
    lengths = {*range(20), *range(20, len(whole), 997), *range(len(whole) - 20, len(whole))}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.safetensors' is not a whole safetensors file"):
            read_header(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="truncated or added to"):
        read_header(path)
    path.write_bytes(whole)
    assert len(read_header(path)) == 40


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(tmp_path, golden):
    path = tmp_path / "a.safetensors"
    path.write_bytes((golden / "model.safetensors").read_bytes())
    info = max(read_header(path).values(), key=lambda info: info.start)
    os.truncate(path, info.start + 3)
    with pytest.raises(ValueError, match="truncated while it was read"):
        read_tensor(info)


BAD = {"nan": np.nan, "negative nan": -np.nan, "infinity": np.inf, "negative infinity": -np.inf}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_finite_values_are_told_from_the_others(dtype):
    largest = float(np.finfo(dtype).max) if dtype is not BFLOAT16 else 3.3895e38
    good = np.array([0.0, -0.0, 1.5, largest, -largest, -1.5]).astype(dtype)
    for values in (good, good[:1], np.abs(good), -np.abs(good), good[::2], good[:0]):
        assert is_finite(values)
        for index in range(values.size):
            for bad in BAD.values():
                changed = values.copy()
                changed[index] = bad
                assert not is_finite(changed)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_weights_that_are_not_finite_are_neither_read_nor_written(tmp_path, bad):
    values = np.zeros((3, 2**17), np.float32)
    values[2, -1] = bad
    safetensors.numpy.save_file({"h.0.kernel": values}, tmp_path / "a")
    info = read_header(tmp_path / "a")["h.0.kernel"]
    with pytest.raises(ValueError, match="'h.0.kernel' in '.*a' must hold finite values. Received"):
        read_tensor(info, "h.0.kernel")
    # Without a name they are looked at by the caller.
    assert not np.isfinite(read_tensor(info)).all()
    with pytest.raises(ValueError, match="must be finite. Received: NaN or infinity in 'h.0.kern"):
        write_tensors(tmp_path / "b", {"h.0.kernel": values})


def write_sparse(path, data_bytes, hole_bytes):
    """A whole file: `data_bytes` of ones, then a hole."""
    count = data_bytes + hole_bytes
    text = json.dumps({"a": entry("U8", (count,), (0, count))}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"\1" * data_bytes)
        file.truncate(8 + len(text) + count)


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this system does not report holes")
def test_a_sparse_file_is_refused_however_small_on_the_disk(tmp_path):
    path = tmp_path / "a.safetensors"
    write_sparse(path, 2**16, 2**40)
    with pytest.raises(ValueError, match=r"it is sparse, \d+ of its 1099511693\d+ bytes .*`cp --s"):
        read_header(path)
    # A run of zeros that a copy has made a hole of.
    write_sparse(path, 2**16, 2**26)
    assert read_header(path)["a"].shape == (2**16 + 2**26,)


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this system does not report holes")
def test_many_holes_are_one_large_hole(tmp_path):
    path = tmp_path / "a.safetensors"
    write_sparse(path, 2**12, 2**37)
    with open(path, "r+b") as file:
        for index in range(1000):
            file.seek(2**20 * (index + 1))
            file.write(b"\1")
    with pytest.raises(ValueError, match="it is sparse"):
        read_header(path)


def test_a_name_is_only_a_name(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(make_file({"../../x": entry(), "x" * 1000: entry(offsets=(8, 16))}, bytes(16)))
    assert list(read_header(path)) == ["../../x", "x" * 1000]
    assert os.listdir(tmp_path) == ["a.safetensors"]
