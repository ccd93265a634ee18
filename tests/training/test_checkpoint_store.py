"""The folder of checkpoints: what is in it is whole, and damage is found."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from lmzoo import files
from lmzoo.training.checkpoint_store import CheckpointStore

TENSORS = {"a": np.arange(12, dtype="float32").reshape(3, 4), "b": np.array(7, "int64")}
RECORD = {"epoch": 1, "step": 2}


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    yield store
    store.close()


def test_what_is_written_is_read(store):
    store.write(5, TENSORS, RECORD)
    step, tensors, record = store.read_newest()
    assert (step, record) == (5, RECORD)
    assert tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert tensors[name].dtype == array.dtype


def test_the_state_is_a_safetensors_file_of_any_dtype(store):
    from safetensors.numpy import load_file

    kinds = ("bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32")
    kinds += ("float32", "uint64", "int64", "float64")
    tensors = {kind: np.arange(5).astype(kind) for kind in kinds}
    tensors |= {"scalar": np.array(3.5), "empty": np.zeros((0, 3), "float32")}
    tensors |= {"in Fortran's order": np.arange(6.0).reshape(2, 3).T}
    store.write(1, tensors, RECORD)
    found = load_file(store.path_of(1) / "state.safetensors")
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_newest_stay(store):
    for step in (1, 2, 30):
        store.write(step, TENSORS, RECORD)
    assert store.list_steps() == [2, 30]


def test_an_empty_or_missing_folder_has_no_checkpoint(tmp_path):
    assert CheckpointStore(tmp_path / "none", is_writer=False).read_newest() is None


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
def test_every_truncation_and_every_flipped_byte_is_found(store, name):
    store.write(1, TENSORS, RECORD)
    path = store.path_of(1) / name
    content = path.read_bytes()
    unnoticed = []
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if _reads(store):
            unnoticed.append(("cut", length))
    for index in range(len(content)):
        flipped = bytearray(content)
        flipped[index] ^= 1 << index % 8
        path.write_bytes(flipped)
        if _reads(store):
            unnoticed.append(("flip", index))
    # A manifest is JSON: without its last line break it is the same.
    assert unnoticed == ([("cut", len(content) - 1)] if name == "manifest.json" else [])
    path.write_bytes(content)
    assert _reads(store), "the control: the whole file is read"


def _reads(store):
    try:
        _, record = store.read(1)
    except (ValueError, OSError):
        return False
    # White space may flip to other white space, which changes nothing.
    return record == RECORD and store.read(1)[0]["a"].tolist() == TENSORS["a"].tolist()


def test_a_damaged_one_is_named_and_passed_over(store):
    store.write(1, TENSORS, RECORD)
    store.write(2, TENSORS, RECORD)
    (store.path_of(2) / "state.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged checkpoint, step-000000002"):
        assert store.read_newest()[0] == 1


def test_where_all_are_damaged_nothing_starts_anew_silently(store):
    store.write(1, TENSORS, RECORD)
    (store.path_of(1) / "manifest.json").unlink()
    with (
        pytest.warns(UserWarning, match="step-000000001"),
        pytest.raises(ValueError, match="step-000000001.*Remove them to start anew"),
    ):
        store.read_newest()


def test_another_version_is_refused(store):
    store.write(1, TENSORS, RECORD)
    manifest = store.path_of(1) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match="version 1. Received: 2"):
        store.read(1)


def test_a_folder_has_one_writer(store):
    with pytest.raises(RuntimeError, match=f"in use by process {os.getpid()}"):
        CheckpointStore(store.folder)
    # Reading needs no lock.
    assert CheckpointStore(store.folder, is_writer=False).list_steps() == []
    store.close()
    CheckpointStore(store.folder).close()


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import os, sys; from lmzoo.training.checkpoint_store import CheckpointStore; "
        "store = CheckpointStore(sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment)
    assert child.returncode == -9
    CheckpointStore(tmp_path).close()


def test_on_a_full_disk_the_old_one_stays(store, monkeypatch):
    store.write(1, TENSORS, RECORD)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device; nothing was changed"):
        store.write(2, TENSORS, RECORD)
    monkeypatch.undo()
    assert store.list_steps() == [1]
    assert store.read_newest()[0] == 1
    assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "step-000000001"]
