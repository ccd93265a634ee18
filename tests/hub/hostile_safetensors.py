"""Files that claim to be safetensors and are not."""

import json
import struct


def make_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


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
    "a name that is half a character": make_file({"\ud83d": entry()}, bytes(8)),
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
