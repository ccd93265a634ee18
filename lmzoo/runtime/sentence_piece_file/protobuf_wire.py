"""The wire format of protocol buffers: reading untrusted messages, and writing messages."""

import struct

__all__ = [
    "BYTES",
    "FIXED32",
    "VARINT",
    "read_fields",
    "write_bytes",
    "write_float",
    "write_varint",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_FLOAT = struct.Struct("<f")


def read_fields(data):
    """Goes through the fields of a message.

    Args:
        data: bytes.
    Yields:
        number: int. Which field it is.
        kind: int. `VARINT`, `BYTES`, `FIXED32`, or 1, which is eight bytes.
        value: int of a `VARINT`, else bytes.
    Raises:
        ValueError: if `data` is no message, or a part of one.
    """
    place, size = 0, len(data)
    while place < size:
        tag, place = _read_varint(data, place)
        number, kind = tag >> 3, tag & 7
        if not number or kind not in (VARINT, FIXED64, BYTES, FIXED32):
            raise ValueError(f"it is no protocol buffer: byte {place - 1} begins no field")
        if kind == VARINT:
            value, place = _read_varint(data, place)
        else:
            length, place = _read_varint(data, place) if kind == BYTES else (_WIDTHS[kind], place)
            if length > size - place:
                raise ValueError(
                    f"it is cut off: {length} bytes announced at byte {place}, {size - place} there"
                )
            value, place = data[place : place + length], place + length
        yield number, kind, value


def _read_varint(data, place):
    # Nearly all numbers are of one byte, and a model has a million of them.
    if place < len(data) and data[place] < 128:
        return data[place], place + 1
    value = 0
    for index in range(10):
        if place + index >= len(data):
            raise ValueError(f"it is cut off: byte {len(data)} is in the middle of a number")
        byte = data[place + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, place + index + 1
    raise ValueError(f"it is no protocol buffer: a number at byte {place} has no end")


def write_varint(number, value):
    """The bytes of field `number`, an int from 0 on or a bool."""
    return _make_varint(number << 3 | VARINT) + _make_varint(int(value))


def write_bytes(number, value):
    """The bytes of field `number`, which holds bytes, text in UTF-8, or another message."""
    return _make_varint(number << 3 | BYTES) + _make_varint(len(value)) + value


def write_float(number, value):
    """The bytes of field `number`, a float32."""
    return _make_varint(number << 3 | FIXED32) + _FLOAT.pack(value)


def _make_varint(value):
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)
