"""Atomic writing of folders: a reader sees the old folder or the new one."""

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import re
import secrets
import shutil
import sys

__all__ = ["atomic_folder", "check_new_folder", "looks_like_model"]

# No space, no quota, over the largest size of a file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# One of these is in every folder that lmzoo or Hugging Face's tools write.
_MODEL_FILES = (
    *("saved_model.pb", "*.safetensors", "*.safetensors.index.json", "*.tflite", "*.keras"),
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model"),
    *("tokenizer.model", "sentencepiece.bpe.model", "modules.json"),
)


def looks_like_model(folder):
    """Whether a folder holds a model, a tokenizer, or nothing but folders that do.

    Args:
        folder: pathlib.Path.
    Returns:
        bool. False for a git repository, whose history would be lost with it.
    """
    if (folder / ".git").exists():
        return False
    if any(next(folder.glob(pattern), None) for pattern in _MODEL_FILES):
        return True
    entries = list(folder.iterdir())
    return bool(entries) and all(entry.is_dir() and looks_like_model(entry) for entry in entries)


def check_new_folder(folder, overwrite=False, may_replace=looks_like_model):
    """Refuses an output folder that exists, before any work is done for it.

    Args:
        folder: str or path. Where something will be written.
        overwrite: bool. If True, an existing folder may be replaced, if `may_replace` says so.
        may_replace: function of a pathlib.Path to bool. Only asked about a folder with files.
    Returns:
        pathlib.Path of `folder`.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False or does not look like a
            model, or if it is not a folder.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"`folder` must not be a file. Received: folder={str(folder)!r}, which is one."
        )
    if folder.exists() and not overwrite and any(folder.iterdir()):
        _refuse_filled(folder)
    if overwrite and folder.exists() and any(folder.iterdir()) and not may_replace(folder):
        raise FileExistsError(
            "`folder` must be empty or hold a model to be replaced. Received: "
            f"folder={str(folder)!r}, which has other files. Choose another folder, or remove it "
            "yourself."
        )
    return folder


@contextlib.contextmanager
def atomic_folder(folder, overwrite=False, may_replace=looks_like_model):
    """Gives a temporary sibling to write into, and renames it to `folder` at the end.

    If the block raises (Ctrl-C included), the sibling is removed and an existing `folder` stays
    as it was. Every file is flushed to the disk before the rename. A process that is killed leaves
    at most the sibling behind, whose name begins with a dot and ends in ".partial"; the next writer
    to `folder` removes it.

    Args:
        folder: str or path. The folder that shall appear. A link is followed.
        overwrite: bool. If True, an existing folder is replaced, in one step where the file system
            can exchange two names.
        may_replace: function of a pathlib.Path to bool, as for `check_new_folder`.
    Yields:
        pathlib.Path of the temporary sibling, empty.
    Raises:
        FileExistsError: as `check_new_folder`, also if somebody else writes to `folder` meanwhile.
        OSError: if the disk is full; it names `folder`. Libraries that report it by an exception
            of their own, as TensorFlow does, are understood too.
    """
    # Resolved, since "." has no siblings, and a link would be renamed instead of what it names.
    folder = check_new_folder(folder, overwrite, may_replace).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A part of the name is enough to recognise it, and a long one would leave no room.
    prefix = f".{folder.name[:40]}-"
    _remove_leftovers(folder.parent, prefix)
    sibling, lock = _make_locked(folder.parent, prefix)
    try:
        yield sibling
        for path in sibling.rglob("*"):
            _flush(path)
        _flush(sibling)
        if overwrite and folder.exists():
            _exchange(sibling, folder)
        else:
            _rename_new(sibling, folder)
        _flush(folder.parent)
    except Exception as error:
        number = _find_full(error)
        if number is None:
            raise
        # What was written is not where the caller asked for it, and is gone by now.
        reason = f"{os.strerror(number)}; nothing was changed"
        raise OSError(number, reason, str(folder)) from error
    finally:
        shutil.rmtree(sibling, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _make_locked(parent, prefix):
    """A new folder, and the descriptor of its lock, by which other writers know it is in use."""
    while True:
        made = parent / f"{prefix}{secrets.token_hex(8)}.partial"
        made.mkdir()
        try:
            lock = _lock(made)
        except (BlockingIOError, FileNotFoundError):
            # Another writer has taken it for a leftover.
            continue
        except OSError:
            # The file system has no locks, so nobody removes leftovers there.
            return made, None
        if made.exists():
            return made, lock
        os.close(lock)


def _lock(folder):
    """The descriptor of a folder that no other process holds; raises OSError if there is none."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_leftovers(parent, prefix):
    """Removes temporary siblings of writers that were killed."""
    name = re.compile(re.escape(prefix) + r"[0-9a-f]{16}\.partial")
    for path in [path for path in parent.iterdir() if name.fullmatch(path.name)]:
        with contextlib.suppress(OSError):
            lock = _lock(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _find_full(error):
    """The errno of a full disk, if that is what an exception is about, or None."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _FULL else None
    # TensorFlow's exceptions have the system's words and no number.
    return next((number for number in _FULL if os.strerror(number) in str(error)), None)


def _rename_new(new, folder):
    # rename(2) replaces an empty folder and refuses a filled one.
    try:
        new.rename(folder)
    except OSError:
        if folder.is_dir() and any(folder.iterdir()):
            _refuse_filled(folder)
        raise


def _refuse_filled(folder):
    raise FileExistsError(
        f"`folder` must be new or empty. Received: folder={str(folder)!r}, which has files. "
        "Pass overwrite=True to replace it."
    )


def _exchange(new, folder):
    """Swaps the names of two folders; `new` is then the old one."""
    if _swap_names(new, folder):
        return
    # Here a kill between the renames leaves the old folder beside its place, not in it.
    aside = new.with_suffix(".replaced")
    folder.rename(aside)
    try:
        new.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    aside.rename(new)


def _swap_names(one, other):
    """Exchanges two names in one step; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None)
    names = os.fsencode(one), os.fsencode(other)
    # RENAME_EXCHANGE and RENAME_SWAP are both 2; -100 is "relative to the working directory".
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        return libc.renameat2(-100, names[0], -100, names[1], ctypes.c_uint(2)) == 0
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return libc.renamex_np(*names, ctypes.c_uint(2)) == 0
    return False


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
