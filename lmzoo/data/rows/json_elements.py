"""Streaming JSON: the elements of arrays in a large file, one in memory at a time."""

import codecs
import re

from lmzoo.data.checks import describe_value
from lmzoo.text_files.bounded_reading import ReadLimits, parse_json

__all__ = ["read_elements"]

_SPACE = re.compile(r"[ \t\r\n]*")
_LEAST = 1 << 16
# A whole string, or the quote of one that does not end in the buffer, or a bracket.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_REST_OF_STRING = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_CLOSERS = {"[": "]", "{": "}"}
_DEEPEST = 10_000
_SCALAR = re.compile(r"[^ \t\r\n,:\[\]{}\"]*")


def read_elements(blocks, *keys, limits=None):
    """Reads the elements of an array in a JSON object, or of arrays in the objects in an array.

    With the keys "data" and "paragraphs" these are `data[i].paragraphs[j]` for all i and j. The
    outer array may also be the whole file. Values under other keys are skipped, not parsed.

    An object without its key is an element itself: `data[i]` without `paragraphs`, or an object
    without `data`, of which a file may have several (JSON lines). It is not parsed either.

    Args:
        blocks: iterable of bytes. The file.
        *keys: str. The key of the outermost array first.
        limits: ReadLimits or None.
    Yields:
        (tuple of int, int, int, value): the index of the element in each array, its first byte,
        its size in bytes, and its value. An element without its key has fewer indices, and None.
    Raises:
        ValueError: if the file is not UTF-8, not JSON, has something else under a key than an
            array, or if an element exceeds the limits.
    """
    reader = _Reader(blocks, limits or ReadLimits())
    if reader.peek() == "[":
        yield from _in_array(reader, keys, "", ())
    else:
        while reader.peek():
            begin = reader.offset
            if not (yield from _in_object(reader, keys, "", ())):
                yield (), begin, reader.offset - begin, None
            elif reader.peek():
                break
    if reader.peek():
        raise ValueError(f"A file must end after its value. Received: {reader.peek()!r} there.")


def _in_object(reader, keys, where, indices):
    """Yields the elements below `keys` of the next object; returns whether it has the key."""
    here = where or "The file"
    reader.take("{", here)
    found = False
    while reader.peek() != "}":
        name = reader.value(f"A key of {where or 'the file'}")
        if not isinstance(name, str):
            raise ValueError(f"A key must be a string. Received: {describe_value(name)}.")
        reader.take(":", f"The key {describe_value(name)}")
        if name == keys[0] and not found:
            found = True
            yield from _in_array(reader, keys, f"{where}.{name}".lstrip("."), indices)
        else:
            reader.skip(f"The value of {describe_value(name)}")
        if reader.peek() != ",":
            break
        reader.take(",", here)
    reader.take("}", here)
    return found


def _in_array(reader, keys, where, indices):
    """Yields the elements of the next array, or those of the arrays in its objects."""
    reader.take("[", where or "The file")
    index = 0
    while reader.peek() != "]":
        if index:
            reader.take(",", f"{where}[{index - 1}]")
        here = f"{where}[{index}]"
        reader.peek()
        begin = reader.offset
        if len(keys) == 1:
            value = reader.value(here)
            yield (*indices, index), begin, reader.offset - begin, value
        elif not (yield from _in_object(reader, keys[1:], here, (*indices, index))):
            yield (*indices, index), begin, reader.offset - begin, None
        index += 1
    reader.take("]", where or "The file")


class _Reader:
    """Reads a file from the front; `offset` is the number of bytes that were read."""

    def __init__(self, blocks, limits):
        self.offset = 0
        self._blocks = iter(blocks)
        self._limits = limits
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._ended = False

    def peek(self):
        """Returns the next character that is no white space, or "" at the end."""
        while True:
            self._pass(_SPACE.match(self._text, self._position).end())
            if self._position < len(self._text) or self._ended:
                return self._text[self._position : self._position + 1]
            self._read_more(1)

    def take(self, character, where):
        """Passes over the next character, which must be this one."""
        if self.peek() != character:
            raise ValueError(f"{where} must have {character!r}. Received: {self._here()}.")
        self._pass(self._position + 1)

    def value(self, where):
        """Parses the next value."""
        self.peek()
        here = self._here()
        text = self._scan(where, keep=True)
        try:
            return parse_json(text, self._limits)
        except ValueError as error:
            raise ValueError(f"{where} must be JSON. Received: {here}, which gives: {error}") from (
                error
            )

    def skip(self, where):
        """Passes over the next value without keeping it; only numbers and words are parsed."""
        if self.peek() in ("[", "{", '"'):
            self._scan(where, keep=False)
        else:
            self.value(where)

    def _scan(self, where, keep):
        """Passes over the next value by its brackets and quotes; returns its text if `keep`."""
        is_scalar = self.peek() not in ("[", "{", '"')
        scan = _scan_scalar if is_scalar else _scan_nested
        here, first, parts = self._here(), self.offset, []
        closers, in_string = [], False
        while True:
            try:
                end, is_whole, in_string = scan(self._text, self._position, closers, in_string)
            except ValueError as error:
                raise ValueError(
                    f"{where} must be JSON. Received: {here}, which gives: {error}"
                ) from error
            if keep:
                parts.append(self._text[self._position : end])
            self._pass(end)
            if keep:
                self._limits.check_record(self.offset - first, where)
            if is_whole or (self._ended and is_scalar):
                return "".join(parts)
            if self._ended:
                raise ValueError(f"{where} must be JSON. Received: {here}, which does not end.")
            self._read_more(_LEAST)

    def _here(self):
        return f"{self._text[self._position : self._position + 40]!r} at byte {self.offset}"

    def _pass(self, end):
        self.offset += len(self._text[self._position : end].encode("utf-8"))
        self._position = end

    def _read_more(self, least):
        """Reads at least `least` characters, if there are as many, and drops those passed."""
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


def _scan_nested(text, position, closers, in_string):
    """Scans a string, an array or an object from where the last scan ended.

    Args:
        text: str. The buffer.
        position: int. Where to begin.
        closers: list of str. The brackets that are still to come; updated.
        in_string: bool. Whether the scan begins inside a string.
    Returns:
        (end, is_whole, in_string): how far it came, whether the value ends there, whether a string
        is open there.
    """
    if in_string:
        position = _REST_OF_STRING.match(text, position).end()
        if not text.startswith('"', position):
            return position, False, True
        position += 1
        if not closers:
            return position, True, False
    for match in _TOKEN.finditer(text, position):
        token = match[0]
        if token == '"':
            return match.end(), False, True
        if token in _CLOSERS:
            if len(closers) == _DEEPEST:
                raise ValueError("it is nested too deeply.")
            closers.append(_CLOSERS[token])
        elif token in ("]", "}") and closers.pop() != token:
            raise ValueError(f"{token!r} closes another bracket.")
        if not closers:
            return match.end(), True, False
    return len(text), False, False


def _scan_scalar(text, position, closers, in_string):
    """As `_scan_nested`, for a number or a word such as null."""
    end = _SCALAR.match(text, position).end()
    return end, end < len(text), False
