"""Reading a large JSON file piece by piece: the elements of one array, each with its place."""

import codecs
import json
import re

from lmzoo.data.values import describe_value

__all__ = ["read_elements"]

_SPACE = re.compile(r"[ \t\r\n]*")
# An element larger than this is taken for a file that is not closed where it should be.
_LONGEST = 64 << 20
_LEAST = 1 << 16


def read_elements(blocks, key):
    """Reads the elements of the array that a JSON object has under a key.

    In memory is one element at a time, and the rest of the object is passed over.

    Args:
        blocks: iterable of bytes. The file.
        key: str.
    Yields:
        (int, int, value): where an element begins in bytes, how many it has, and what it is.
    Raises:
        ValueError: if the file is not UTF-8, not JSON, or no object with an array under `key`.
    """
    reader = _Reader(blocks)
    reader.take("{", "The file")
    found = False
    if reader.peek() != "}":
        while True:
            name, _ = reader.value("A key")
            if not isinstance(name, str):
                raise ValueError(f"A key must be a string. Received: {describe_value(name)}.")
            reader.take(":", f"The key {describe_value(name)}")
            if name == key and not found:
                found = True
                yield from _elements(reader, key)
            else:
                reader.value(f"The value of {describe_value(name)}")
            if reader.peek() != ",":
                break
            reader.take(",", "A value")
    reader.take("}", "The file")
    if reader.peek():
        raise ValueError(f"A file must end behind its object. Received: {reader.peek()!r} there.")
    if not found:
        raise ValueError(f"The file must be an object with an array under {key!r}. Received: none.")


def _elements(reader, key):
    reader.take("[", f"The array {key!r}")
    number = 0
    while reader.peek() != "]":
        if number:
            reader.take(",", f"{key}[{number - 1}]")
            reader.peek()
        begin = reader.offset
        value, size = reader.value(f"{key}[{number}]")
        yield begin, size, value
        number += 1
    reader.take("]", f"The array {key!r}")


class _Reader:
    """Text that is looked at from the front; `offset` says how many bytes are gone."""

    def __init__(self, blocks):
        self.offset = 0
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._ended = False
        self._parser = json.JSONDecoder()

    def peek(self):
        """Returns the next character that is no white space, or "" at the end."""
        while True:
            self._drop(_SPACE.match(self._text).end())
            if self._text or self._ended:
                return self._text[:1]
            self._read_more(1)

    def take(self, character, where):
        if self.peek() != character:
            raise ValueError(
                f"{where} must have {character!r}. Received: "
                f"{self._text[:40]!r} at byte {self.offset}."
            )
        self._drop(1)

    def value(self, where):
        """Returns the next value and how many bytes it has."""
        self.peek()
        while True:
            try:
                value, end = self._parser.raw_decode(self._text)
            except (ValueError, RecursionError) as error:
                # What is not whole yet gives an error too, so only the end can tell.
                if self._ended or len(self._text) > _LONGEST or isinstance(error, RecursionError):
                    raise ValueError(
                        f"{where} must be JSON. Received: "
                        f"{self._text[:40]!r} at byte {self.offset}, which gives: {error}"
                    ) from error
            else:
                # A number may go on behind the end of what was read.
                if end < len(self._text) or self._ended:
                    before = self.offset
                    self._drop(end)
                    return value, self.offset - before
            self._read_more(max(_LEAST, len(self._text)))

    def _drop(self, count):
        if count:
            self.offset += len(self._text[:count].encode("utf-8"))
            self._text = self._text[count:]

    def _read_more(self, least):
        """Reads at least so many characters, where there are as many."""
        parts, size = [self._text], 0
        while size < least and not self._ended:
            block = next(self._blocks, b"")
            self._ended = not block
            try:
                parts.append(self._decoder.decode(block, final=self._ended))
            except UnicodeDecodeError as error:
                raise ValueError(
                    "Text must be in UTF-8. Received: "
                    f"{error.object[error.start : error.end]!r} in {describe_value(block[:40])}."
                ) from error
            size += len(parts[-1])
        self._text = "".join(parts)
