"""A folder of checkpoints: each is complete or not there, and is checked when it is read."""

import errno
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import threading
import warnings

from lmzoo.files import atomic_folder
from lmzoo.json_files import read_json
from lmzoo.tensor_files import iterate_file
from lmzoo.training.workers import count_workers, sum_over_workers

__all__ = ["CheckpointStore", "open_store"]

_VERSION = 1
_NAME = re.compile(r"step-(\d{9})")
_MANIFEST, _STATE, _LOCK = "manifest.json", "state.safetensors", ".lock"
_MAX_MANIFEST_BYTES = 64 << 20
# What the chief tells the others in place of the step of a checkpoint.
_NO_STEP, _NO_FOLDER = -1, -2


class CheckpointStore:
    """The checkpoints `step-000001200/{state.safetensors, manifest.json}` of one run.

    A checkpoint is written as a hidden folder, flushed to the disk and renamed. Its manifest has
    the size and the SHA-256 of the state. So a kill at any moment leaves the older ones as they
    were, and a damaged one is found.

    Args:
        folder: str or path. Made if it is not there.
        keep: int, at least 1. How many of the newest stay.
        is_writer: bool. Whether this process writes. One writer at a time holds the folder.
    Raises:
        RuntimeError: if another process writes to the folder.
    """

    def __init__(self, folder, keep=3, is_writer=True):
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self._lock = None
        self._writer, self._failure = None, None
        if is_writer:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _hold(self.folder)

    def close(self):
        """Waits for `write_later`, and lets other processes write to the folder."""
        if self._writer is not None:
            self._writer.join()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def list_steps(self):
        """The steps that have a checkpoint, in increasing order; whether they are whole or not."""
        if not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def path_of(self, step):
        return self.folder / f"step-{step:09d}"

    def write(self, step, tensors, record):
        """Writes a checkpoint and removes the oldest ones.

        Args:
            step: int.
            tensors: dict of name to numpy array.
            record: dict that JSON can hold.
        Raises:
            OSError: if the disk is full. The older checkpoints are then as they were.
        """
        with atomic_folder(self.path_of(step), overwrite=True, may_replace=_is_checkpoint) as new:
            digest = hashlib.sha256()
            # What is written is not copied: new memory can take longer than the disk.
            with open(new / _STATE, "wb") as file:
                for chunk in iterate_file(tensors):
                    digest.update(chunk)
                    file.write(chunk)
                size = file.tell()
            manifest = {
                "format": "lmzoo checkpoint",
                "version": _VERSION,
                "step": step,
                "files": {_STATE: {"bytes": size, "sha256": digest.hexdigest()}},
                "record": record,
            }
            text = json.dumps(manifest, indent=1)
            manifest["sha256"] = _digest(text.encode())
            text = json.dumps(manifest, indent=1)
            (new / _MANIFEST).write_text(text + "\n", encoding="utf-8")
        for old in self.list_steps()[: -self.keep]:
            # The manifest goes first, so that half of a folder is never taken for a checkpoint.
            (self.path_of(old) / _MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self.path_of(old), ignore_errors=True)

    def write_later(self, step, tensors, record):
        """`write` in a thread of its own; `wait` and `raise_failure` raise what it raises."""
        self.wait()
        self._writer = threading.Thread(target=self._write, args=(step, tensors, record))
        self._writer.start()

    def _write(self, *arguments):
        try:
            self.write(*arguments)
        except Exception as error:
            self._failure = error

    def is_writing(self):
        return self._writer is not None and self._writer.is_alive()

    def wait(self):
        """Waits for `write_later`."""
        if self._writer is not None:
            self._writer.join()
        self.raise_failure()

    def raise_failure(self):
        """Raises what `write_later` raised, once."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def read(self, step):
        """The tensors (dict of numpy arrays) and the record of a checkpoint.

        Raises:
            ValueError: if it is damaged or of another version; it says how.
        """
        from safetensors.numpy import load

        folder = self.path_of(step)
        manifest = _read_manifest(folder)
        expected = manifest["files"][_STATE]
        path = folder / _STATE
        size = path.stat().st_size if path.is_file() else None
        if size != expected["bytes"]:
            raise ValueError(f"{_STATE} must have {expected['bytes']} bytes. Received: {size}.")
        state = path.read_bytes()
        if _digest(state) != expected["sha256"]:
            raise ValueError(f"{_STATE} must have the SHA-256 of the manifest, and has not.")
        return load(state), manifest["record"]

    def read_newest(self):
        """The step, the tensors and the record of the newest whole checkpoint, or None.

        Damaged ones are passed over with a warning that names them.

        Raises:
            ValueError: if there are checkpoints and none is whole.
        """
        steps, reasons = self.list_steps(), []
        for step in reversed(steps):
            try:
                found = self.read(step)
            except (OSError, ValueError) as error:
                reasons.append(f"{self.path_of(step).name}: {error}")
                warnings.warn(f"Passed over a damaged checkpoint, {reasons[-1]}", stacklevel=2)
                continue
            return step, *found
        if reasons:
            raise ValueError(
                "`folder` must hold a whole checkpoint, or none. Received: "
                f"folder={str(self.folder)!r}, with {'; '.join(reasons)} Remove them to start anew."
            )
        return None


def open_store(strategy, folder, keep):
    """Opens the checkpoints of a run on each of its workers, and finds where it goes on.

    The chief writes, and chooses the checkpoint that all read.

    Args:
        strategy: the strategy of the model.
        folder, keep: as for `CheckpointStore`.
    Returns:
        CheckpointStore, and what its `read_newest` gives.
    Raises:
        RuntimeError: if another process writes to `folder`, or a worker does not see what the
            chief sees in it.
        ValueError: if there are checkpoints and none is whole.
    """
    is_chief = strategy.extended.should_checkpoint
    if count_workers(strategy) == 1:
        store = CheckpointStore(folder, keep, is_writer=is_chief)
        return store, store.read_newest()
    store, found, failure, number = None, None, None, 0
    if is_chief:
        try:
            store = CheckpointStore(folder, keep)
            found = store.read_newest()
            number = _NO_STEP if found is None else found[0]
        except Exception as error:
            failure, number = error, _NO_FOLDER
    # The others wait here for the chief.
    number = int(sum_over_workers(strategy, number))
    if failure is not None:
        raise failure
    if number == _NO_FOLDER:
        raise RuntimeError("The chief could not open `folder`. Its own message says why.")
    if is_chief:
        return store, found
    store = CheckpointStore(folder, keep, is_writer=False)
    if number == _NO_STEP:
        return store, None
    try:
        return store, (number, *store.read(number))
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"`folder` must be the same for all workers. Received: folder={str(folder)!r}, where "
            f"the chief has {store.path_of(number).name} and this worker has not ({error})."
        ) from error


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _is_checkpoint(folder):
    return all(path.name in (_STATE, _MANIFEST) for path in folder.iterdir())


def _read_manifest(folder):
    manifest = read_json(folder / _MANIFEST, max_bytes=_MAX_MANIFEST_BYTES)
    if not isinstance(manifest, dict) or manifest.get("format") != "lmzoo checkpoint":
        raise ValueError(f"{_MANIFEST} must be that of a checkpoint of lmzoo, and is not.")
    if manifest.get("version") != _VERSION:
        raise ValueError(
            f"{_MANIFEST} must be of version {_VERSION}. Received: {manifest.get('version')!r}."
        )
    digest = manifest.pop("sha256", None)
    text = json.dumps(manifest, indent=1)
    if digest != _digest(text.encode()):
        raise ValueError(f"{_MANIFEST} must have its own SHA-256, and has not.")
    return manifest


def _hold(folder):
    """The descriptor of the lock of a folder, which the system frees when the process ends."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "another machine"
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise RuntimeError(
            "`folder` must not be in use by another trainer. Received: "
            f"folder={str(folder)!r}, in use by process {holder}."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.fsync(descriptor)
    return descriptor
