"""Checking text files before any work, and reading their bytes."""

import dataclasses
import gzip
import hashlib
import os
import pathlib
import zlib

__all__ = ["Source", "check_files", "fingerprint", "read_blocks"]

BLOCK = 1 << 20
# A file of up to `_SAMPLES` blocks is fingerprinted by its whole content.
_SAMPLES, _SAMPLE = 16, 1 << 16
_INVALID_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Source:
    """One file of a corpus.

    Args:
        path: pathlib.Path.
        jsonl: bool. True if each line is a JSON object, False for plain text.
        gzipped: bool.
    """

    path: pathlib.Path
    jsonl: bool
    gzipped: bool


def check_files(files):
    """Refuses files that are not text, and finds the format of the others by their suffixes.

    `.jsonl` is JSON lines, anything else is text; `.gz` behind either is decompressed while
    reading.

    Args:
        files: str, path, or iterable of these.
    Returns:
        list of Source, in the given order.
    Raises:
        TypeError: if `files` holds something that is not a path.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if there is no file, or one is empty, binary, or a broken gzip file.
    """
    files = [files] if isinstance(files, (str, os.PathLike)) else files
    if not hasattr(files, "__iter__") or isinstance(files, bytes):
        raise TypeError(f"`files` must be a path or a list of paths. Received: files={files!r}.")
    files = list(files)
    for file in files:
        if not isinstance(file, (str, os.PathLike)):
            raise TypeError(f"`files` must hold paths only. Received: {file!r}.")
    if not files:
        raise ValueError("`files` must hold at least one path. Received: files=[].")
    sources = [_describe(pathlib.Path(file)) for file in files]
    for source in sources:
        _check_content(source)
    return sources


def read_blocks(source, advance=None):
    """Reads a file's bytes, decompressed, in blocks of 1 MiB.

    Args:
        source: Source.
        advance: callable or None. Called with the number of bytes read from the disk.
    Yields:
        bytes.
    Raises:
        ValueError: if a `.gz` file is damaged or incomplete.
    """
    with open(source.path, "rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if source.gzipped else raw
        position = 0
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
            yield block
            if advance is not None:
                advance(raw.tell() - position)
                position = raw.tell()


def fingerprint(source):
    """Describes a file's content without its name and without reading all of it.

    Up to 1 MiB this is a hash of the content. For a larger file it is the size, the modification
    time and a hash of sixteen samples of the content.

    Args:
        source: Source.
    Returns:
        list of str and int, for a JSON file.
    """
    status = source.path.stat()
    digest = hashlib.sha256()
    whole = status.st_size <= _SAMPLES * _SAMPLE
    with open(source.path, "rb") as file:
        for sample in range(_SAMPLES):
            if not whole:
                file.seek(sample * (status.st_size - _SAMPLE) // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    changed = 0 if whole else status.st_mtime_ns
    kind = ("jsonl" if source.jsonl else "text") + (".gz" if source.gzipped else "")
    return [kind, status.st_size, changed, digest.hexdigest()]


def _describe(path):
    if path.is_dir():
        raise IsADirectoryError(
            f"`files` must hold files, not folders. Received: {str(path)!r}. "
            "Pass the files in it, for example sorted(pathlib.Path(folder).rglob('*.txt'))."
        )
    if not path.exists():
        raise FileNotFoundError(f"`files` must exist. Received: {str(path)!r}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    inner = suffixes[:-1] if gzipped else suffixes
    return Source(path, jsonl=inner[-1:] == [".jsonl"], gzipped=gzipped)


def _check_content(source):
    """Refuses a file that does not begin like text in UTF-8."""
    first = next(read_blocks(source), b"")[: 1 << 16]
    if not first:
        raise ValueError(f"`files` must not be empty. Received: {str(source.path)!r}.")
    if b"\0" in first:
        raise ValueError(
            f"`files` must be text in UTF-8. Received: {str(source.path)!r}, which has a zero "
            "byte and so is binary or UTF-16. Convert it, or leave it out."
        )
    text = first.decode("utf-8", errors="replace")
    invalid = text.count("\ufffd") - first.count(b"\xef\xbf\xbd")
    if invalid > max(1, _INVALID_SHARE * len(text)):
        raise ValueError(
            f"`files` must be text in UTF-8. Received: {str(source.path)!r}, where "
            f"{invalid / len(text):.0%} of the first characters are not. Convert it (for "
            "example with iconv), or leave it out."
        )
