"""Reading the documents of a file as streams of text, none of them in memory as a whole."""

import codecs
import re

from lmzoo.text_files.bounded_reading import parse_json, read_blocks, split_lines
from lmzoo.text_files.checks import describe_value

__all__ = ["read_documents"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_documents(
    source, field="text", document_separator=None, advance=None, replaced=None, limits=None
):
    """Reads one file document by document.

    A document comes as an iterator over its text in parts, to be used up before the next one is
    asked for. A text file is one document, or several between separators; each line of a JSON
    lines file is one. A byte order mark at the beginning is dropped, invalid UTF-8 and lone
    surrogates become U+FFFD, line ends are unchanged.

    Args:
        source: Source.
        field: str. The key of the text in a JSON line.
        document_separator: str or None. The text between two documents of a text file, for
            example two newlines. It belongs to neither of them.
        advance: callable or None. Called with the number of bytes read from the disk.
        replaced: callable or None. Called with the number of characters that became U+FFFD.
        limits: ReadLimits or None.
    Yields:
        iterator of str.
    Raises:
        ValueError: if a line is not a JSON object with a string under `field`, or if the file
            exceeds the limits.
    """
    replaced = replaced or (lambda count: None)
    blocks = read_blocks(source, limits, advance)
    if source.jsonl:
        yield from _json_documents(source, blocks, field, replaced, limits)
    elif document_separator is None:
        yield _decode(blocks, replaced)
    else:
        yield from _grouped(_split(_decode(blocks, replaced), document_separator))


def _decode(blocks, replaced):
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    tail = b""
    for block in blocks:
        text = decoder.decode(block)
        # A U+FFFD in the file itself is not counted, even if it lies across two blocks.
        seen = tail + block
        replaced(text.count("\ufffd") - seen.count(b"\xef\xbf\xbd"))
        tail = seen[-2:]
        yield text
    text = decoder.decode(b"", final=True)
    replaced(text.count("\ufffd"))
    yield text


def _split(parts, separator):
    """Yields (text, whether a document ends after it)."""
    rest, keep = "", len(separator) - 1
    for part in parts:
        *ended, rest = (rest + part).split(separator)
        for text in ended:
            yield text, True
        # The last characters may be the beginning of a separator.
        passed = max(0, len(rest) - keep)
        yield rest[:passed], False
        rest = rest[passed:]
    yield rest, True


def _grouped(events):
    """Turns (text, ends) pairs into one iterator of text for each document."""
    events = iter(events)

    def document(text, ends):
        yield text
        while not ends:
            text, ends = next(events)
            yield text

    for first in events:
        parts = document(*first)
        yield parts
        for _ in parts:  # Skips the part of this document that the caller did not read.
            pass


def _json_documents(source, blocks, field, replaced, limits):
    for number, line in enumerate(split_lines(blocks, source.path, limits), start=1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")
        replaced(text.count("\ufffd") - line.count(b"\xef\xbf\xbd"))
        if text.strip():
            yield iter([_field_of(text, field, f"{source.path}:{number}", replaced, limits)])


def _field_of(line, field, where, replaced, limits):
    try:
        value = parse_json(line, limits)
    except ValueError as error:
        raise ValueError(
            f"`files` must hold one JSON object a line where they end in .jsonl. Received: "
            f"{where}: {line.strip()[:60]!r}, which gives: {error}"
        ) from error
    if not isinstance(value, dict) or not isinstance(value.get(field), str):
        found = describe_value(sorted(value)) if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"`field` must name a string in every JSON line. Received: field={field!r}, "
            f"but {where} has {found}."
        )
    text = value[field]
    if _SURROGATE.search(text):
        encoded = text.encode("utf-16", errors="surrogatepass")
        text, before = encoded.decode("utf-16", errors="replace"), text.count("\ufffd")
        replaced(text.count("\ufffd") - before)
    return text
