"""Writing files and folders so that a reader sees either the old one or the new one, whole."""

import contextlib
import os
import pathlib
import shutil
import tempfile

__all__ = ["atomic_folder", "check_new_folder"]


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
        raise FileExistsError(
            f"`folder` must be new or empty. Received: folder={str(folder)!r}, which has files. "
            "Pass overwrite=True to replace it."
        )
    return folder


@contextlib.contextmanager
def atomic_folder(folder, overwrite=False):
    """Gives a temporary sibling to write into, and renames it to `folder` at the end.

    If the block raises (Ctrl-C included), the sibling is removed and an existing `folder` stays
    as it was. Every file is flushed to the disk before the rename.

    Args:
        folder: str or path. The folder that shall appear.
        overwrite: bool. If True, an existing folder is replaced.
    Yields:
        pathlib.Path of the temporary sibling, empty.
    Raises:
        FileExistsError: as `check_new_folder`.
    """
    folder = check_new_folder(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sibling = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".partial", dir=folder.parent)
    )
    try:
        sibling.chmod(0o777 & ~_umask())
        yield sibling
        for path in sibling.rglob("*"):
            _flush(path)
        _flush(sibling)
        _replace_folder(sibling, folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(sibling, ignore_errors=True)


def _replace_folder(new, folder):
    """Renames `new` to `folder`; an old one steps aside first and is put back if that fails."""
    if not folder.exists():
        new.rename(folder)
        return
    aside = new.with_suffix(".replaced")
    folder.rename(aside)
    try:
        new.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise
    shutil.rmtree(aside)


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask():
    current = os.umask(0)
    os.umask(current)
    return current
