"""Random access to the records of text files: one scan indexes them, then each is read alone."""

import array
import bisect
import os

import numpy as np

from lmzoo.data.corpus.cache import cache_folder, cache_key, open_or_build
from lmzoo.data.progress import byte_progress
from lmzoo.data.rows.bad_rows import BadRowError
from lmzoo.text_files.bounded_reading import (
    BLOCK,
    ReadLimits,
    check_unpacked,
    read_blocks,
    split_lines,
)
from lmzoo.text_files.files import Source, fingerprint

__all__ = ["ConcatenatedRecords", "Records", "TextFile", "decode"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextFile:
    """A text file in UTF-8 of which any range of bytes can be read, from any thread.

    A gzipped file has no random access, so it is unpacked once into the cache on the disk, where
    later runs open it.

    Args:
        source: Source, as `check_files` returns it.
        limits: ReadLimits or None.
    Raises:
        ValueError: if a gzip file is damaged or too large after decompression.
        RuntimeError: if a gzip file changes while it is unpacked.
    """

    def __init__(self, source, limits=None):
        self.path = source.path
        self.limits = limits or ReadLimits()
        self._data = _unpack(source, self.limits) if source.gzipped else source.path
        with open(self._data, "rb") as file:
            self._stamp = _stamp(file)
            marked = file.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK
        self.begin = len(_BYTE_ORDER_MARK) if marked else 0
        self._last_counted = (self.begin, 1)

    @property
    def end(self):
        """int. The size of the unpacked file in bytes."""
        return self._stamp[0]

    def blocks(self):
        """Yields the bytes after the byte order mark in blocks of 1 MiB, and shows progress."""
        source = Source(self._data, jsonl=False, gzipped=False)
        skip = self.begin
        with self._progress() as advance:
            for block in read_blocks(source, self.limits, advance):
                yield block[skip:]
                skip = max(0, skip - len(block))
        with open(self._data, "rb") as file:
            self._check(file)

    def lines(self):
        """Yields (number from 1, first byte, content) of each line."""
        offset = self.begin
        lines = split_lines(self.blocks(), self.path, self.limits)
        for number, line in enumerate(lines, start=1):
            yield number, offset, line
            offset += len(line)

    def read(self, begin, end):
        """Returns the bytes from `begin` to `end`.

        Raises:
            RuntimeError: if the file is no longer what it was when it was opened.
        """
        # Opened each time (10 us), so that no handle is shared between threads or left open.
        with open(self._data, "rb", buffering=0) as file:
            self._check(file)
            content = os.pread(file.fileno(), end - begin, begin)
        if len(content) != end - begin:
            self._refuse()
        return content

    def line_number(self, offset):
        """Returns the number of the line, from 1, that has the byte at `offset`."""
        position, count = self._last_counted
        if position > offset:
            position, count = self.begin, 1
        while position < offset:
            block = self.read(position, min(position + BLOCK, offset))
            count += block.count(b"\n")
            position += len(block)
        # Calls in the order of the file count each line once.
        self._last_counted = (position, count)
        return count

    def parse(self, function, content, first_line):
        """Calls a function with a part of the file; adds file and line to its errors.

        Args:
            function: callable. Takes `content`. A ValueError that it raises may have an
                attribute `line`: how many lines after the first one the reason is.
            content: bytes.
            first_line: callable. Returns the number of the line where `content` begins.
        Raises:
            ValueError: as `function`, with file and line before its message.
        """
        try:
            return function(content)
        except (ValueError, TypeError) as error:
            line = first_line() + getattr(error, "line", 0)
            kind = BadRowError if isinstance(error, BadRowError) else ValueError
            raise kind(f"{self.path}:{line}: {error}") from error

    def _progress(self):
        return byte_progress(f"Indexing {self.path.name}", self.end)

    def _check(self, file):
        if _stamp(file) != self._stamp:
            self._refuse()

    def _refuse(self):
        raise RuntimeError(
            "`files` must stay as they are while they are read. Received: "
            f"{str(self.path)!r}, which changed. Start again."
        )


class Records:
    """The rows of one file: the index is in memory (8 bytes a row), a row is read when asked for.

    All rows are parsed once at the beginning, so that a bad one is found before any training.

    Args:
        file: TextFile.
        columns: tuple of str.
        found: iterable of (int, int, bytes): of each record the number of its first line, its first
            byte, and its content.
        parse: callable. Takes the bytes of a record, which may end with empty lines, and returns
            a row (dict). See `TextFile.parse`.
        skip: callable or None. Takes each BadRowError, whose record is then left out; None raises
            it.
    Raises:
        ValueError: if a record is bad, or if there is none.
    """

    def __init__(self, file, columns, found, parse, skip=None):
        self.columns = columns
        self._file = file
        self._parse = parse
        begins, bad = array.array("q"), []
        for number, offset, content in found:
            begins.append(offset)
            try:
                file.parse(parse, content, lambda number=number: number)
            except BadRowError as error:
                if skip is None:
                    remedy = 'Pass bad_rows="skip" to skip such rows.'
                    raise BadRowError(f"{str(error).rstrip('.')}. {remedy}") from error
                skip(error)
                bad.append(len(begins) - 1)
        if len(begins) == len(bad):
            raise ValueError(
                f"`files` must hold at least one row each. Received: {str(file.path)!r}."
            )
        # A row ends where the next one begins, good or bad.
        self._begins = np.frombuffer(begins, dtype=np.int64)
        self._good = np.delete(np.arange(len(begins)), bad) if bad else None

    def __len__(self):
        return len(self._begins if self._good is None else self._good)

    def row(self, index):
        number = self._number(index)
        begin = int(self._begins[number])
        is_last = number + 1 == len(self._begins)
        content = self._file.read(
            begin, self._file.end if is_last else int(self._begins[number + 1])
        )
        return self._file.parse(self._parse, content, lambda: self._file.line_number(begin))

    def place(self, index):
        begin = int(self._begins[self._number(index)])
        return f"{self._file.path}:{self._file.line_number(begin)}"

    def _number(self, index):
        return index if self._good is None else int(self._good[index])


class ConcatenatedRecords:
    """The concatenated rows of several files.

    Args:
        sources: list of objects such as Records, all with the same columns.
    """

    def __init__(self, sources):
        self.columns = sources[0].columns
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources]).tolist()

    def __len__(self):
        return self._ends[-1]

    def row(self, index):
        source, index = self._find(index)
        return source.row(index)

    def place(self, index):
        source, index = self._find(index)
        return source.place(index)

    def _find(self, index):
        number = bisect.bisect_right(self._ends, index)
        return self._sources[number], index - (self._ends[number - 1] if number else 0)


def decode(content):
    """Returns bytes as text.

    Raises:
        ValueError: if they are not UTF-8. Its attribute `line` is the number of lines before.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as reason:
        bad = content[reason.start : reason.end]
        error = ValueError(
            f"Text must be in UTF-8. Received: {bad!r}, which is not. Convert the file, for "
            "example with iconv."
        )
        error.line = content.count(b"\n", 0, reason.start)
        raise error from reason


def _stamp(file):
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ino


def _unpack(source, limits):
    """Returns the path of the decompressed file in the cache."""
    before = fingerprint(source)
    folder = cache_folder().with_name("unpacked") / cache_key(before)

    def build(folder):
        size = source.path.stat().st_size
        with byte_progress(f"Unpacking {source.path.name}", size) as advance:
            with open(folder / "content", "wb") as file:
                for block in read_blocks(source, limits, advance):
                    file.write(block)
        if fingerprint(source) != before:
            raise RuntimeError(
                "`files` must stay as they are while they are read. Received: "
                f"{str(source.path)!r}, which changed. Start again."
            )

    def open_folder(folder):
        path = folder / "content"
        return path if path.is_file() else None

    path = open_or_build(folder, open_folder, build)
    check_unpacked(source, path.stat().st_size, limits)
    return path
