"""Atomic writing of folders: a reader sees the old folder or the new one."""

import contextlib
import ctypes
import errno
import os
import pathlib
import secrets
import shutil
import sys

__all__ = ["atomic_folder", "check_new_folder"]

# No space, no quota, over the largest size of a file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_new_folder(folder, overwrite=False):
    """Refuses an output folder that exists, before any work is done for it.

    Args:
        folder: str or path. Where something will be written.
        overwrite: bool. If True, an existing folder may be replaced.
    Returns:
        pathlib.Path of `folder`.
    Raises:
        FileExistsError: if `folder` exists and `overwrite` is False, or if it is not a folder.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"`folder` must not be a file. Received: folder={str(folder)!r}, which is one."
        )
    if folder.exists() and not overwrite and any(folder.iterdir()):
        _refuse_filled(folder)
    return folder


@contextlib.contextmanager
def atomic_folder(folder, overwrite=False):
    """Gives a temporary sibling to write into, and renames it to `folder` at the end.

    If the block raises (Ctrl-C included), the sibling is removed and an existing `folder` stays
    as it was. Every file is flushed to the disk before the rename. A process that is killed leaves
    at most the sibling behind, whose name begins with a dot and ends in ".partial".

    Args:
        folder: str or path. The folder that shall appear. A link is followed.
        overwrite: bool. If True, an existing folder is replaced, in one step where the file system
            can exchange two names.
    Yields:
        pathlib.Path of the temporary sibling, empty.
    Raises:
        FileExistsError: as `check_new_folder`, also if somebody else writes to `folder` meanwhile.
        OSError: if the disk is full; it names `folder`.
    """
    # Resolved, since "." has no siblings, and a link would be renamed instead of what it names.
    folder = check_new_folder(folder, overwrite).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A part of the name is enough to recognise it, and a long one would leave no room.
    sibling = folder.parent / f".{folder.name[:40]}-{secrets.token_hex(8)}.partial"
    sibling.mkdir()
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
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # What was written is not where the caller asked for it, and is gone by now.
        reason = f"{os.strerror(error.errno)}; nothing was changed"
        raise OSError(error.errno, reason, str(folder)) from error
    finally:
        shutil.rmtree(sibling, ignore_errors=True)


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
