"""A cache of folders on the disk: built by one process, opened by the others and later runs."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil

from lmzoo.files import atomic_folder

__all__ = ["cache_folder", "cache_key", "open_or_build"]


def cache_folder(cache_dir=None, kind="tokens"):
    """Returns the folder of the caches of one kind.

    Args:
        cache_dir: str, path or None. None takes `$LMZOO_CACHE`, then `lmzoo` in
            `$XDG_CACHE_HOME`, then `~/.cache/lmzoo`.
        kind: str. The name of its sub-folder.
    Returns:
        pathlib.Path of the sub-folder, which may not exist yet.
    """
    if cache_dir is None:
        cache_dir = os.environ.get("LMZOO_CACHE")
    if not cache_dir:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        cache_dir = pathlib.Path(home) / "lmzoo"
    return pathlib.Path(cache_dir) / kind


def cache_key(description):
    """Returns a hash of a description (any JSON value) as 32 hexadecimal digits."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def open_or_build(folder, open_folder, build):
    """Opens a folder; builds it first if it does not exist.

    Of several processes that want the same folder, one builds it and the others wait. It
    appears by rename, so a process that is killed leaves no half-built folder; its leftovers are
    removed by the next process. A folder that cannot be opened is built again.

    Args:
        folder: pathlib.Path.
        open_folder: callable. Takes `folder`; returns None if it is incomplete.
        build: callable. Takes an empty folder and fills it.
    Returns:
        the value that `open_folder` returned.
    Raises:
        RuntimeError: if the folder that `build` filled cannot be opened.
    """
    if (opened := open_folder(folder)) is not None:
        return opened
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f".{folder.name}.lock"):
        if (opened := open_folder(folder)) is not None:
            return opened
        for leftover in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with atomic_folder(folder, overwrite=True, may_replace=lambda _: True) as sibling:
            build(sibling)
        if (opened := open_folder(folder)) is None:
            raise RuntimeError(f"The cache must open after it is built. Received: {str(folder)!r}.")
    return opened


@contextlib.contextmanager
def _locked(path):
    """Holds a file lock, which the operating system releases when the process dies."""
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
