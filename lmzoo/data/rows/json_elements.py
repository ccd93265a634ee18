"""Reading a large JSON file piece by piece: the elements of its arrays, each with its place."""

import codecs
import json
import re

from lmzoo.data.rows.column_types import describe_value

__all__ = ["read_elements"]

_SPACE = re.compile(r"[ \t\r\n]*")
# An element larger than this is taken for a file that is not closed where it should be.
_LONGEST = 64 << 20
_LEAST = 1 << 16


def read_elements(blocks, *keys):
    """Reads the elements of an array of a JSON object, or of arrays in the objects in an array.

    With the keys "data" and "paragraphs" these are `data[i].paragraphs[j]` for all i and j. In
    memory is one element at a time; what stands under other keys is passed over.

    Args:
        blocks: iterable of bytes. The file.
        *keys: str. The key of the outermost array first.
    Yields:
        (tuple of int, int, int, value): the numbers of an element, one for each key, where it
        begins in bytes, how many bytes it has, and what it is.
    Raises:
        ValueError: if the file is not UTF-8, not JSON, or has no such arrays.
    """
    reader = _Reader(blocks)
    yield from _in_object(reader, keys, "", ())
    if reader.peek():
        raise ValueError(f"A file must end behind its object. Received: {reader.peek()!r} there.")


def _in_object(reader, keys, where, numbers):
    """Yields the elements below `keys` of the object that the reader stands before."""
    here = where or "The file"
    reader.take("{", here)
    found = False
    while reader.peek() != "}":
        name, _ = reader.value(f"A key of {where or 'the file'}")
        if not isinstance(name, str):
            raise ValueError(f"A key must be a string. Received: {describe_value(name)}.")
        reader.take(":", f"The key {describe_value(name)}")
        if name == keys[0] and not found:
            found = True
            yield from _in_array(reader, keys, f"{where}.{name}".lstrip("."), numbers)
        else:
            reader.value(f"The value of {describe_value(name)}")
        if reader.peek() != ",":
            break
        reader.take(",", here)
    reader.take("}", here)
    if not found:
        raise ValueError(f"{here} must have an array under {keys[0]!r}. Received: none.")


def _in_array(reader, keys, where, numbers):
    """Yields the elements of the array that the reader stands before, or what is in them."""
    reader.take("[", where)
    number = 0
    while reader.peek() != "]":
        if number:
            reader.take(",", f"{where}[{number - 1}]")
        place, here = f"{where}[{number}]", (*numbers, number)
        if len(keys) > 1:
            yield from _in_object(reader, keys[1:], place, here)
        else:
            reader.peek()
            begin = reader.offset
            value, size = reader.value(place)
            yield here, begin, size, value
        number += 1
    reader.take("]", where)


class _Reader:
    """Looks at a file from the front; `offset` is how many of its bytes are behind it."""

    def __init__(self, blocks):
        self.offset = 0
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._ended = False
        self._parser = json.JSONDecoder()

    def peek(self):
        """Returns the next character that is no white space, or "" at the end."""
        while True:
            self._pass(_SPACE.match(self._text, self._position).end())
            if self._position < len(self._text) or self._ended:
                return self._text[self._position : self._position + 1]
            self._read_more(1)

    def take(self, character, where):
        """Passes over a character that must stand here."""
        if self.peek() != character:
            raise ValueError(f"{where} must have {character!r}. Received: {self._here()}.")
        self._pass(self._position + 1)

    def value(self, where):
        """Returns the next value and how many bytes it has."""
        self.peek()
        while True:
            try:
                value, end = self._parser.raw_decode(self._text, self._position)
            except (ValueError, RecursionError) as error:
                # What is not whole yet gives an error too, so only the end can tell.
                whole = self._ended or len(self._text) - self._position > _LONGEST
                if whole or isinstance(error, RecursionError):
                    raise ValueError(
                        f"{where} must be JSON. Received: {self._here()}, which gives: {error}"
                    ) from error
            else:
                # A number may go on behind the end of what was read.
                if end < len(self._text) or self._ended:
                    before = self.offset
                    self._pass(end)
                    return value, self.offset - before
            self._read_more(max(_LEAST, len(self._text) - self._position))

    def _here(self):
        return f"{self._text[self._position : self._position + 40]!r} at byte {self.offset}"

    def _pass(self, end):
        self.offset += len(self._text[self._position : end].encode("utf-8"))
        self._position = end

    def _read_more(self, least):
        """Reads at least so many characters, where there are as many, and drops what is passed."""
        parts, size = [self._text[self._position :]], 0
        while size < least and not self._ended:
            block = next(self._blocks, b"")
            self._ended = not block
            try:
                parts.append(self._decoder.decode(block, final=self._ended))
            except UnicodeDecodeError as error:
                bad = error.object[error.start : error.end]
                raise ValueError(
                    f"Text must be in UTF-8. Received: {bad!r}, which is not."
                ) from error
            size += len(parts[-1])
        self._text, self._position = "".join(parts), 0
