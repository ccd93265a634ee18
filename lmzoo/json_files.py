"""Small files, read with suspicion and written whole."""

import json
import os
import pathlib
import tempfile

__all__ = ["read_bytes", "read_json", "read_text", "write_bytes", "write_json", "write_text"]

MAX_BYTES = 64 << 20


def read_bytes(path, max_bytes=MAX_BYTES):
    """Reads a file of bounded size.

    Args:
        path: pathlib.Path.
        max_bytes: int.
    Returns:
        bytes.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`folder` must hold {path.name}. Received: {str(path.parent)!r}.")
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(
            f"{path.name} must have at most {max_bytes} bytes. Received: {str(path)!r} with {size}."
        )
    return path.read_bytes()


def read_text(path, max_bytes=MAX_BYTES):
    """Reads a UTF-8 file of bounded size.

    Args:
        path: pathlib.Path.
        max_bytes: int.
    Returns:
        str.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large or not UTF-8.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be UTF-8. Received: {str(path)!r}, where byte {error.start} is not."
        ) from error


def read_json(path, max_bytes=MAX_BYTES, kind=dict):
    """Reads JSON of bounded size, in which no key stands twice.

    Args:
        path: pathlib.Path.
        max_bytes: int.
        kind: dict or list. What it must hold.
    Returns:
        dict, or what `kind` is.
    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is too large, not UTF-8, not JSON, or of another kind.
    """
    text = read_text(path, max_bytes)
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


def _make_object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
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
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    partial = pathlib.Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
