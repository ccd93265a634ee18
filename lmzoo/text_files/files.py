"""Checking text files before any work."""

import dataclasses
import hashlib
import json
import os
import pathlib
import stat

from lmzoo.text_files.bounded_reading import read_blocks

__all__ = ["Source", "check_files", "fingerprint"]

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

    `.jsonl` is JSON lines, and so is `.json` whose first line is a whole JSON object. Anything else
    is text. Either may end in `.gz` and is then decompressed while reading.

    Args:
        files: str, path, or iterable of these.
    Returns:
        list of Source, in the given order.
    Raises:
        TypeError: if `files` holds something that is not a path.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if there is no file, or one is empty, binary, a broken gzip file, or no regular
            file (a pipe or a device).
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
    return [_check_content(source) for source in sources]


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
    # A pipe can be read once only, and reading it may wait for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(
            f"`files` must be regular files. Received: {str(path)!r}, which is a pipe, a socket or "
            "a device. Write its content to a file."
        )
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    inner = suffixes[:-1] if gzipped else suffixes
    return Source(path, jsonl=inner[-1:] == [".jsonl"], gzipped=gzipped)


def _check_content(source):
    """Refuses a file that does not begin like text in UTF-8; returns the Source with its format."""
    first = next(read_blocks(source), b"")
    if not first:
        raise ValueError(f"`files` must not be empty. Received: {str(source.path)!r}.")
    sample = first[:_SAMPLE]
    text = sample.decode("utf-8", errors="replace")
    invalid = text.count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    if invalid > max(1, _INVALID_SHARE * len(text)):
        raise ValueError(
            f"`files` must be text in UTF-8. Received: {str(source.path)!r}, where "
            f"{invalid / len(text):.0%} of the first characters are not. Convert it (for "
            "example with iconv), or leave it out."
        )
    suffix = source.path.with_suffix("").suffix if source.gzipped else source.path.suffix
    if suffix.lower() == ".json" and _begins_with_json_line(first):
        return dataclasses.replace(source, jsonl=True)
    return source


def _begins_with_json_line(first):
    """Whether the first line that is not empty is a whole JSON object."""
    line = first.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
