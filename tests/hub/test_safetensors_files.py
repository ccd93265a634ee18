import json
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from lmzoo.hub.safetensors_files import read_header, read_tensor, write_tensors

BFLOAT16 = tf.bfloat16.as_numpy_dtype
DTYPES = (np.float64, np.float32, np.float16, BFLOAT16)


def make_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


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


LIES = {
    "nothing": b"",
    "seven bytes": b"\2\0\0\0\0\0\0",
    "no header": b"\0" * 8,
    "a header of 2^63 bytes": make_file({}, length=2**63),
    "a header longer than the file": make_file({}, length=3),
    "a header that is not UTF-8": make_file(b'{"\xff\xfe": 1}'),
    "a header that is not JSON": make_file(b'{"a": '),
    "a header that is a list": make_file(b"[1]"),
    "a deep header": make_file(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "a deeper list": make_file(b"[" * 10_000 + b"]" * 10_000),
    "a number of many digits": make_file(b'{"a":' + b"9" * 100_000 + b"}"),
    "the same key twice": make_file(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "an entry that is a list": make_file({"a": [1, 2]}, bytes(8)),
    "an entry that is null": make_file({"a": None}, bytes(8)),
    "no dtype": make_file({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "an unknown dtype": make_file({"a": entry("F128")}, bytes(8)),
    "a dtype that is a list": make_file({"a": entry(["F32"])}, bytes(8)),
    "a shape that is a number": make_file(
        {"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}, bytes(8)
    ),
    "a shape that is text": make_file(
        {"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}, bytes(8)
    ),
    "a negative shape": make_file({"a": entry(shape=(-2, -1))}, bytes(8)),
    "a float shape": make_file({"a": entry(shape=(2.0,))}, bytes(8)),
    "a shape of true": make_file({"a": entry(shape=(True, 2))}, bytes(8)),
    "a shape of NaN": make_file(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'),
    "a shape that overflows to 2": make_file({"a": entry(shape=(2**63 + 1, 2))}, bytes(8)),
    "a shape whose product overflows": make_file({"a": entry(shape=(2**33, 2**31))}, bytes(8)),
    "a shape of many axes": make_file({"a": entry(shape=[2**61] * 50_000)}, bytes(8)),
    "three offsets": make_file({"a": entry(offsets=(0, 4, 8))}, bytes(8)),
    "reversed offsets": make_file({"a": entry(offsets=(8, 0))}, bytes(8)),
    "negative offsets": make_file({"a": entry(offsets=(-8, 0))}, bytes(8)),
    "float offsets": make_file({"a": entry(offsets=(0.0, 8.0))}, bytes(8)),
    "offsets beyond the file": make_file({"a": entry(offsets=(8, 16))}, bytes(8)),
    "a size that is not the shape's": make_file({"a": entry(offsets=(0, 4))}, bytes(8)),
    "overlapping tensors": make_file({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "the same bytes twice": make_file({"a": entry(), "b": entry()}, bytes(8)),
    "a gap": make_file({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "a gap at the start": make_file({"a": entry(offsets=(4, 12))}, bytes(12)),
    "trailing bytes": make_file({"a": entry()}, bytes(9)),
    "bytes without a tensor": make_file({}, bytes(1)),
    "missing bytes": make_file({"a": entry()}, bytes(7)),
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\5posix\x94\x8c\6system\x94\x93.",
    "a zip archive": b"PK\3\4" + bytes(60),
}


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
    assert seconds < 0.5 and most < 50e6


def test_a_header_of_any_size_is_read_with_little_memory(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(make_file(b'{"":{}' + b',"":{}' * 400_000 + b"}"))
    with pytest.raises(ValueError, match="its header of 2400007 bytes is over 2097152 bytes"):
        read_header(path)
    path.write_bytes(make_file(b'{"":{}' + b',"":{}' * 250_000 + b"}"))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a key stands twice"):
            read_header(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 80e6


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


def test_a_name_is_only_a_name(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(make_file({"../../x": entry(), "x" * 1000: entry(offsets=(8, 16))}, bytes(16)))
    assert list(read_header(path)) == ["../../x", "x" * 1000]
    assert os.listdir(tmp_path) == ["a.safetensors"]
