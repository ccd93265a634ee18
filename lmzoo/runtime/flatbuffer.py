"""Flatbuffers of strangers: tables that are read with every offset checked against the buffer."""

import struct

__all__ = ["Table", "read_root"]

_UINT16, _INT32, _UINT32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
# struct's letter for each scalar type that is read.
_SCALARS = {
    name: struct.Struct(f"<{letter}")
    for name, letter in zip(
        ("bool", "int8", "uint8", "int32", "uint32", "int64", "uint64"), "?bBiIqQ", strict=True
    )
}
_MAX_STRING = 1 << 16


class Table:
    """A table: fields by their number in the schema, each of which may be absent.

    Args:
        data: memoryview of bytes. The whole buffer.
        position: int. Where the table begins.
    Raises:
        ValueError: here and in all methods, if an offset leads out of the buffer.
    """

    __slots__ = ("_data", "_position", "_vtable", "_vtable_size")

    def __init__(self, data, position):
        self._data, self._position = data, position
        vtable = position - _unpack(_INT32, data, position)
        size = _unpack(_UINT16, data, vtable)
        if size < 4 or size % 2 or vtable + size > len(data):
            raise ValueError(
                f"a flatbuffer table must have a whole vtable. Received: {size} bytes at {vtable}"
            )
        self._vtable, self._vtable_size = vtable, size

    def _find(self, field):
        """Where a field stands, or None."""
        place = 4 + 2 * field
        if place >= self._vtable_size:
            return None
        offset = _unpack(_UINT16, self._data, self._vtable + place)
        return self._position + offset if offset else None

    def _follow(self, field):
        """Where the table, string or vector of a field stands, or None."""
        place = self._find(field)
        return None if place is None else place + _unpack(_UINT32, self._data, place)

    def scalar(self, field, kind, default=0):
        """A number or a bool.

        Args:
            field: int.
            kind: str, such as "int32".
            default: what is returned where the field is absent.
        """
        place = self._find(field)
        return default if place is None else _unpack(_SCALARS[kind], self._data, place)

    def table(self, field):
        """A table, or None."""
        place = self._follow(field)
        return None if place is None else Table(self._data, place)

    def string(self, field):
        """A str of at most 64 KiB, or None."""
        place = self._follow(field)
        if place is None:
            return None
        size = _unpack(_UINT32, self._data, place)
        if size > _MAX_STRING:
            raise ValueError(
                f"a flatbuffer string must have at most {_MAX_STRING} bytes. Received: {size}"
            )
        data = bytes(_cut(self._data, place + 4, size))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"a flatbuffer string must be UTF-8. Received: {data[:40]!r}"
            ) from error

    def bytes(self, field):
        """The memoryview of a vector of bytes, without a copy, or None."""
        place = self._follow(field)
        if place is None:
            return None
        return _cut(self._data, place + 4, _unpack(_UINT32, self._data, place))

    def numbers(self, field, most):
        """A tuple of at most so many int32; empty where the field is absent."""
        place, count = self._read_vector(field, most)
        return struct.unpack(f"<{count}i", _cut(self._data, place, 4 * count))

    def tables(self, field, most):
        """A list of at most so many tables; empty where the field is absent."""
        place, count = self._read_vector(field, most)
        _cut(self._data, place, 4 * count)
        starts = range(place, place + 4 * count, 4)
        return [Table(self._data, at + _unpack(_UINT32, self._data, at)) for at in starts]

    def table_at(self, field, index):
        """One table of a vector of them, without a look at the others."""
        place, count = self._read_vector(field)
        if not 0 <= index < count:
            raise ValueError(f"a flatbuffer index must be from 0 to {count - 1}. Received: {index}")
        place += 4 * index
        return Table(self._data, place + _unpack(_UINT32, self._data, place))

    def _read_vector(self, field, most=None):
        place = self._follow(field)
        if place is None:
            return 0, 0
        count = _unpack(_UINT32, self._data, place)
        if most is not None and count > most:
            raise ValueError(
                f"a flatbuffer vector must have at most {most} elements here. Received: {count}"
            )
        return place + 4, count


def read_root(data):
    """The root table of a buffer.

    Args:
        data: memoryview of bytes.
    Returns:
        Table.
    Raises:
        ValueError: if it is cut off.
    """
    return Table(data, _unpack(_UINT32, data, 0))


def _unpack(form, data, place):
    if place < 0 or place + form.size > len(data):
        raise ValueError(f"a flatbuffer offset must be within {len(data)} bytes. Received: {place}")
    return form.unpack_from(data, place)[0]


def _cut(data, place, size):
    if place < 0 or place + size > len(data):
        raise ValueError(
            f"a flatbuffer vector must end within {len(data)} bytes. Received: {size} bytes at "
            f"{place}"
        )
    return data[place : place + size]
