"""Reading untrusted text files in bounded memory: blocks, lines and JSON values."""

import dataclasses
import gzip
import io
import json
import re
import zlib

from lmzoo.text_files.checks import check_at_least

__all__ = ["BLOCK", "ReadLimits", "check_unpacked", "parse_json", "read_blocks", "split_lines"]

BLOCK = 1 << 20
_LEAST_UNPACKED = 1 << 30
_LARGEST_EXPANSION = 100
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class ReadLimits:
    """How much one file may take before it is refused.

    Args:
        max_record_bytes: int. The size of one record: a line of JSON, a row of a table (with the
            line ends inside its quotes), a CoNLL sentence, a SQuAD paragraph, a file of
            `read_folders`. A text file without `document_separator` is streamed and has no limit.
        max_items: int. How many values one record may have: the values in its JSON, also nested
            ones, the fields of a row, the words of a sentence. An empty list is 3 bytes of text and
            64 bytes of memory.
        max_unpacked_bytes: int or None. The size of a `.gz` file after decompression. None is 100
            times its size on the disk, or 1 GiB if that is more.
    Raises:
        ValueError: if a limit is not a positive integer.
    Example:
    >>> lmzoo.data.ReadLimits(max_record_bytes=1 << 28).max_items
    1048576
    """

    max_record_bytes: int = 1 << 24
    max_items: int = 1 << 20
    max_unpacked_bytes: int | None = None

    def __post_init__(self):
        limits = dataclasses.asdict(self)
        if self.max_unpacked_bytes is None:
            del limits["max_unpacked_bytes"]
        check_at_least(1, **limits)

    def check_record(self, size, where):
        """Refuses a record of more than `max_record_bytes`.

        Args:
            size: int. Its bytes so far.
            where: str. Its file and line, for the message.
        Raises:
            ValueError: if it is too large.
        """
        if size > self.max_record_bytes:
            raise ValueError(
                f"{where}: A record must have at most {self.max_record_bytes} bytes. Received: a "
                "larger one. Is a quote or bracket open? If not, pass "
                "limits=lmzoo.data.ReadLimits(max_record_bytes=...)."
            )

    def check_items(self, count):
        """Refuses a record of more than `max_items` values: ValueError."""
        if count > self.max_items:
            raise ValueError(
                f"A record must have at most {self.max_items} values. Received: {count}. Pass "
                "limits=lmzoo.data.ReadLimits(max_items=...) for more."
            )


def read_blocks(source, limits=None, advance=None):
    """Reads the bytes of a text file, decompressed, in blocks of 1 MiB.

    Args:
        source: Source.
        limits: ReadLimits or None.
        advance: callable or None. Called with the number of bytes read from the disk.
    Yields:
        bytes.
    Raises:
        ValueError: if a `.gz` file is damaged, incomplete or too large after decompression, or if
            the file has a zero byte.
    """
    with open(source.path, "rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if source.gzipped else raw
        size = position = 0
        while True:
            try:
                block = stream.read(BLOCK)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ValueError(
                    f"`files` must hold whole gzip files where they end in .gz. Received: "
                    f"{str(source.path)!r}, which gives: {error}"
                ) from error
            if not block:
                return
            if (index := block.find(b"\0")) >= 0:
                raise ValueError(
                    f"`files` must be text in UTF-8. Received: {str(source.path)!r}, which has a "
                    f"zero byte at byte {size + index} and so is binary or UTF-16. Convert it, or "
                    "leave it out."
                )
            size += len(block)
            if source.gzipped:
                check_unpacked(source, size, limits or ReadLimits())
            yield block
            if advance is not None:
                advance(raw.tell() - position)
                position = raw.tell()


def check_unpacked(source, size, limits):
    """Refuses a `.gz` file with more than `max_unpacked_bytes` of content: ValueError."""
    packed = source.path.stat().st_size
    most = limits.max_unpacked_bytes
    if most is None:
        most = max(_LEAST_UNPACKED, _LARGEST_EXPANSION * packed)
    if size > most:
        raise ValueError(
            f"`files` must have at most {most} bytes after decompression. Received: "
            f"{str(source.path)!r}, which has {packed} bytes on the disk and more than that "
            "decompressed. If it is no gzip bomb, pass "
            "limits=lmzoo.data.ReadLimits(max_unpacked_bytes=...)."
        )


def split_lines(blocks, path, limits=None):
    r"""Splits a file into lines.

    Args:
        blocks: iterable of bytes.
        path: path. The file's name, for messages.
        limits: ReadLimits or None.
    Yields:
        bytes. A line with its "\n"; the last one may have none.
    Raises:
        ValueError: if a line has more than `max_record_bytes`. The message has its number.
    """
    limits = limits or ReadLimits()
    parts, size, number = [], 0, 1
    for block in blocks:
        if b"\n" in block:
            *lines, rest = io.BytesIO(b"".join([*parts, block, b"\n"])).readlines()
            for line in lines:
                if len(line) > limits.max_record_bytes:
                    limits.check_record(len(line), f"{path}:{number}")
                yield line
                number += 1
            # The newline that was added ends the rest, and is all of it where a line ended before.
            block, parts, size = rest[:-1], [], 0
        parts.append(block)
        size += len(block)
        limits.check_record(size, f"{path}:{number}")
    if size:
        yield b"".join(parts)


def parse_json(text, limits=None):
    """Parses one JSON value of bounded size.

    Args:
        text: str.
        limits: ReadLimits or None.
    Returns:
        the value.
    Raises:
        ValueError: if the text is not JSON, is nested too deeply or has too many values.
    """
    limits = limits or ReadLimits()
    # A value takes a character, and most texts have few commas and brackets: only the others are
    # counted without their strings.
    if len(text) > limits.max_items and _count_items(text) > limits.max_items:
        limits.check_items(_count_items(_STRING.sub("", text)))
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply.") from error


def _count_items(text):
    """At least the number of values, for text without strings."""
    return 1 + sum(text.count(character) for character in ",[{")
