"""Small files, read with suspicion and written whole."""

import json
import os
import secrets

__all__ = [
    *("MAX_BYTES", "read_bytes", "read_json", "read_text", "write_bytes", "write_json"),
    "write_text",
]

# A vocabulary's files may be large; of the others, a config with the names of 10,000 classes has
# most. Two MiB of the longest integers, which take longest of all, are parsed in 0.06 s.
MAX_BYTES, _SMALL_BYTES = 64 << 20, 2 << 20
_LARGE = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")
# The longest published vocabulary has 1.8 million values, with its merges. An empty list takes
# three bytes in a file and sixty in memory, so that bytes alone are no bound.
_MOST_VALUES, _MOST_SMALL_VALUES = 2**22, 2**16


def read_bytes(path, max_bytes=None):
    """Reads a file of bounded size.

    Args:
        path: pathlib.Path.
        max_bytes: int, or None for 64 MiB in the files of a vocabulary and 2 MiB in all others.
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
    """Reads JSON of bounded size, in which no key stands twice.

    Args:
        path: pathlib.Path.
        max_bytes: int or None, as for `read_bytes`.
        kind: dict or list. What it must hold.
    Returns:
        dict, or what `kind` is.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large or has too many values, is not UTF-8, not JSON, or of another
            kind.
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
    return found


def _check_values(path, data):
    """Refuses what is too much to parse; a comma within a text counts too."""
    count = sum(data.count(mark) for mark in (b"[", b"{", b","))
    most = _MOST_VALUES if path.name in _LARGE else _MOST_SMALL_VALUES
    if count > most:
        raise ValueError(
            f"{path.name} must have at most {most} lists, objects and commas. Received: "
            f"{str(path)!r} with {count}."
        )


def _make_object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set()
        # `add` gives None, so that the first name that is there already ends the search.
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the key {twice!r:.60} stands twice")
    return found


def write_json(path, content):
    """Writes JSON that is the same bytes for the same content.

    Args:
        path: pathlib.Path.
        content: dict, written in its order, or list.
    """
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_text(path, text):
    """Writes a UTF-8 file so that a reader sees the old one or the new one, whole.

    Args:
        path: pathlib.Path.
        text: str.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path, data):
    """Writes a file so that a reader sees the old one or the new one, whole.

    Args:
        path: pathlib.Path.
        data: bytes.
    """
    partial = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        # Made as any file is made, so that it has the permissions that its owner gives to files.
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
