import struct

import pytest

from lmzoo.runtime.sentence_piece_file import protobuf_wire as wire


def test_what_is_written_is_read_again():
    data = (
        wire.write_varint(1, 0)
        + wire.write_varint(35, 300)
        + wire.write_bytes(2, b"abc")
        + wire.write_float(3, 0.5)
    )
    assert list(wire.read_fields(data)) == [
        (1, wire.VARINT, 0),
        (35, wire.VARINT, 300),
        (2, wire.BYTES, b"abc"),
        (3, wire.FIXED32, struct.pack("<f", 0.5)),
    ]


def test_the_bytes_are_those_of_the_specification():
    # The examples of the format's own description.
    assert wire.write_varint(1, 150) == b"\x08\x96\x01"
    assert wire.write_bytes(2, b"testing") == b"\x12\x07testing"
    assert list(wire.read_fields(b"\x09" + bytes(range(8)))) == [(1, 1, bytes(range(8)))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0a\x05abc", "cut off: 5 bytes announced at byte 2, 3 there"),
        (b"\x0d\x00\x00", "cut off: 4 bytes announced at byte 1, 2 there"),
        (b"\x08", "cut off: byte 1 is in the middle of a number"),
        (b"\x08\x80", "cut off: byte 2 is in the middle"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "a number at byte 1 has no end"),
        (b"\x08\x01\x0b", "no protocol buffer: byte 2 begins no field"),
        (b"\x00\x00", "no protocol buffer: byte 0 begins no field"),
    ],
)
def test_what_is_no_message_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        list(wire.read_fields(data))
