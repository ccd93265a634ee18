"""Splitting delimited text into records and fields, without quoting or with RFC 4180's."""

import re

__all__ = ["plain_records", "quoted_records", "split_quoted"]

# Both begin after an opening quote. Possessive, so that a long field is scanned once.
_TO_CLOSING_QUOTE = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')
_QUOTED_FIELD = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')


def plain_records(lines):
    """Yields each line that is not empty as a record.

    Args:
        lines: iterable of (int, int, bytes), as `TextFile.lines` gives them.
    Yields:
        (int, int, bytes): of each record its line number, its first byte, its content.
    """
    for number, offset, line in lines:
        if line.rstrip(b"\r\n"):
            yield number, offset, line


def quoted_records(lines, delimiter, path, limits):
    """Joins lines into records; a record continues over a line end inside quotes.

    Args:
        lines: iterable of (int, int, bytes), as `TextFile.lines` gives them.
        delimiter: str.
        path: path. The name of the file, for messages.
        limits: ReadLimits.
    Yields:
        (int, int, bytes): of each record the number of its first line, its first byte, its content.
    Raises:
        ValueError: if a record exceeds the limits, for instance because a quote stays open.
    """
    delimiter = delimiter.encode("utf-8")
    parts, first, size = [], None, 0
    for number, offset, line in lines:
        if not parts and not line.rstrip(b"\r\n"):
            continue
        first = first if parts else (number, offset)
        inside = _is_open_behind(line, delimiter, inside=bool(parts))
        parts.append(line)
        size += len(line)
        limits.check_record(size, f"{path}:{first[0]}")
        if not inside:
            yield *first, b"".join(parts)
            parts, size = [], 0
    if parts:
        yield *first, b"".join(parts)


def split_quoted(text, delimiter):
    r"""Splits a record into its fields. A quote in the middle of a field is a plain character.

    Args:
        text: str. One record without its line end.
        delimiter: str.
    Returns:
        list of str.
    Raises:
        ValueError: if a quoted field does not end, or if something follows its closing quote.
    Example:
    >>> from lmzoo.data.rows.delimited import split_quoted
    >>> split_quoted('5" screen,"He said ""no"", twice"', ",")
    ['5" screen', 'He said "no", twice']

    Reference: RFC 4180, which leaves open what a quote inside an unquoted field is.
    """
    fields, start = [], 0
    while True:
        if text.startswith('"', start):
            match = _QUOTED_FIELD.match(text, start)
            if match is None:
                raise ValueError(
                    "A field that begins with a quote must end with one. Received: "
                    f"{text[start : start + 60]!r}, which does not."
                )
            fields.append(match[1].replace('""', '"'))
            end = match.end()
            if end < len(text) and not text.startswith(delimiter, end):
                raise ValueError(
                    f"A closing quote must be before {delimiter!r} or at the end of a row. "
                    f"Received: {text[end - 1 : end + 60]!r}. Quotes in a field are doubled."
                )
        else:
            end = text.find(delimiter, start)
            end = len(text) if end < 0 else end
            fields.append(text[start:end])
        if end == len(text):
            return fields
        start = end + 1


def _is_open_behind(line, delimiter, inside):
    """Returns whether a quoted field continues after a line."""
    if not inside and b'"' not in line:
        return False
    start = 0
    while True:
        if not inside and line.startswith(b'"', start):
            inside, start = True, start + 1
        if inside:
            match = _TO_CLOSING_QUOTE.match(line, start)
            if match is None:
                return True
            inside, start = False, match.end()
        start = line.find(delimiter, start)
        if start < 0:
            return False
        start += len(delimiter)
