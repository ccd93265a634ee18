"""Folders that are made once, by one process at a time, and found again by later runs."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil

from lmzoo.files import atomic_folder

__all__ = ["cache_folder", "cache_key", "open_or_build"]


def cache_folder(cache_dir=None):
    """Returns where token caches live.

    Args:
        cache_dir: str, path or None. None takes `$LMZOO_CACHE`, then `lmzoo` in
            `$XDG_CACHE_HOME`, then `~/.cache/lmzoo`.
    Returns:
        pathlib.Path of the folder `tokens` in it, which need not exist.
    """
    if cache_dir is None:
        cache_dir = os.environ.get("LMZOO_CACHE")
    if not cache_dir:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        cache_dir = pathlib.Path(home) / "lmzoo"
    return pathlib.Path(cache_dir) / "tokens"


def cache_key(description):
    """Returns the name that stands for a description (anything JSON can keep)."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def open_or_build(folder, open_folder, build):
    """Opens a folder, or makes it first.

    Of several processes that want the same folder, one makes it and the others wait. It
    appears by rename, so a process killed meanwhile leaves nothing that is taken for it; what
    it did leave is swept away by the next. A folder that cannot be opened is made anew.

    Args:
        folder: pathlib.Path.
        open_folder: callable. Takes `folder`; returns None if it is not whole.
        build: callable. Takes an empty folder and fills it.
    Returns:
        what `open_folder` returned.
    Raises:
        RuntimeError: if what `build` made cannot be opened.
    """
    if (opened := open_folder(folder)) is not None:
        return opened
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f".{folder.name}.lock"):
        if (opened := open_folder(folder)) is not None:
            return opened
        for leftover in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with atomic_folder(folder, overwrite=True) as sibling:
            build(sibling)
        if (opened := open_folder(folder)) is None:
            raise RuntimeError(f"The cache must open after it is made. Received: {str(folder)!r}.")
    return opened


@contextlib.contextmanager
def _locked(path):
    """Holds a lock that the system gives back when the process dies."""
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
