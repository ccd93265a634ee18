"""Small text and JSON files: checked when read, written atomically."""

import json
import os
import re
import secrets

__all__ = [
    *("MAX_BYTES", "SURROGATE", "read_bytes", "read_json", "read_text"),
    *("write_bytes", "write_json", "write_text"),
]

# The files of a vocabulary may be large. The largest of the others is a config that names 10,000
# classes. Two MiB of the longest integers, the slowest content, are parsed in 0.06 s.
MAX_BYTES, _SMALL_BYTES = 64 << 20, 2 << 20
_LARGE = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")
# The largest published vocabulary has 1.8 million values, with its merges. An empty list takes
# three bytes in a file and sixty in memory, so a limit on bytes alone does not bound the memory.
_MAX_VALUES, _MAX_SMALL_VALUES = 2**22, 2**16
# Half of a pair, which JSON can hold as an escape.
SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_bytes(path, max_bytes=None):
    """Reads a file of bounded size.

    Args:
        path: pathlib.Path.
        max_bytes: int, or None for 64 MiB for vocabulary files and 2 MiB for all others.
    Returns:
        bytes.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`folder` must hold {path.name}. Received: {str(path.parent)!r}.")
    if max_bytes is None:
        max_bytes = MAX_BYTES if path.name in _LARGE else _SMALL_BYTES
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(
            f"{path.name} must have at most {max_bytes} bytes. Received: {str(path)!r} with {size}."
        )
    return path.read_bytes()


def read_text(path, max_bytes=None):
    """Reads a UTF-8 file of bounded size.

    Args:
        path: pathlib.Path.
        max_bytes: int or None, as for `read_bytes`.
    Returns:
        str.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large or not UTF-8.
    """
    return _decode(path, read_bytes(path, max_bytes))


def _decode(path, data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be UTF-8. Received: {str(path)!r}, where byte {error.start} is not."
        ) from error


def read_json(path, max_bytes=None, kind=dict):
    """Reads JSON of bounded size, without duplicate keys and without lone surrogates.

    Args:
        path: pathlib.Path.
        max_bytes: int or None, as for `read_bytes`.
        kind: dict or list. The type of the outermost value.
    Returns:
        An instance of `kind`.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large, has too many values, is not UTF-8 or not JSON, holds a lone
            surrogate, or is of another type.
    """
    data = read_bytes(path, max_bytes)
    _check_values(path, data)
    text = _decode(path, data)
    try:
        found = json.loads(text, object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path.name} must be JSON. Received: {str(path)!r} ({error!s:.120})."
        ) from error
    if not isinstance(found, kind):
        name = "object" if kind is dict else "array"
        raise ValueError(
            f"{path.name} must hold a JSON {name}. Received: {str(path)!r} with "
            f"a {type(found).__name__}."
        )
    if _ESCAPED_SURROGATE.search(data):
        _check_surrogates(path, found)
    return found


def _check_surrogates(path, found):
    """A string with half of a surrogate pair cannot be encoded, printed or passed to TensorFlow."""
    stack = [found]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, str) and SURROGATE.search(value):
            raise ValueError(
                f"{path.name} must hold Unicode text, in which surrogates stand in pairs. "
                f"Received: {str(path)!r} with {value!r:.80}."
            )


def _check_values(path, data):
    """Limits the number of values before parsing; commas inside strings count too."""
    count = sum(data.count(mark) for mark in (b"[", b"{", b","))
    most = _MAX_VALUES if path.name in _LARGE else _MAX_SMALL_VALUES
    if count > most:
        raise ValueError(
            f"{path.name} must have at most {most} lists, objects and commas. Received: "
            f"{str(path)!r} with {count}."
        )


def _make_object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set()
        # `add` returns None, so the first name that is in `seen` already ends the search.
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the key {twice!r:.60} stands twice")
    return found


def write_json(path, content):
    """Writes JSON atomically. The same content gives the same bytes.

    Args:
        path: pathlib.Path.
        content: dict, written in its order, or list.
    Raises:
        ValueError: if a string holds a lone surrogate.
    """
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_text(path, text):
    """Writes a UTF-8 file atomically.

    Args:
        path: pathlib.Path.
        text: str.
    Raises:
        ValueError: if the text holds a lone surrogate.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        start = max(0, error.start - 40)
        raise ValueError(
            f"{path.name} must hold Unicode text. Received: {text[start : error.end]!r}, where "
            "a surrogate stands alone."
        ) from error
    write_bytes(path, data)


def write_bytes(path, data):
    """Writes a file atomically: readers see the old or the new content, whole.

    Args:
        path: pathlib.Path.
        data: bytes.
    """
    partial = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        # Created by `open`, so that it has the usual permissions.
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
