import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from lmzoo import files
from lmzoo.files import atomic_folder, check_new_folder

# Runs in a child: writes files for ever, or is killed by the name of a function of lmzoo.files.
WRITER = """
import os, signal, sys
from lmzoo import files

folder, moment = sys.argv[1:]

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if moment != "while writing":
    setattr(files, moment, die)
with files.atomic_folder(folder, overwrite=True) as new:
    for index in range(5):
        (new / f"{index}.txt").write_text("new")
        if moment == "while writing" and index == 2:
            die()
"""
MOMENTS = ("while writing", "_flush", "_exchange", "_rename_new")


def read_all(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def write(folder, **kwargs):
    with atomic_folder(folder, **kwargs) as new:
        (new / "a.txt").write_text("new")
        (new / "sub").mkdir()
        (new / "sub" / "b.txt").write_text("new")


NEW = {"a.txt": "new", "sub/b.txt": "new"}


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "model.v1"
    folder.mkdir()
    (folder / "saved_model.pb").write_text("old")
    return folder


def test_a_new_folder_appears_whole_with_its_parents(tmp_path):
    folder = tmp_path / "one" / "two" / "model.v1.2"
    with atomic_folder(folder) as new:
        assert new.parent == folder.parent and new.name.startswith(".") and new.is_dir()
        (new / "a.txt").write_text("new")
        assert not folder.exists()
    assert read_all(folder) == {"a.txt": "new"}
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_with_files_is_refused_and_stays(old):
    with pytest.raises(FileExistsError, match=r"`folder` must be new or empty.*model\.v1"):
        check_new_folder(old)
    with pytest.raises(FileExistsError, match=r"`folder` must be new or empty.*model\.v1"):
        write(old)
    assert read_all(old) == {"saved_model.pb": "old"}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    assert check_new_folder(str(tmp_path / "empty")) == tmp_path / "empty"
    write(tmp_path / "empty")
    assert read_all(tmp_path / "empty") == NEW


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_never_replaced_by_a_folder(tmp_path, overwrite):
    file = tmp_path / "note.txt"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match=r"`folder` must not be a file.*note\.txt"):
        write(file, overwrite=overwrite)
    assert file.read_text() == "mine"
    assert os.listdir(tmp_path) == ["note.txt"]


def test_overwriting_leaves_nothing_of_the_old_folder(old):
    write(old, overwrite=True)
    assert read_all(old) == NEW
    assert list(old.parent.iterdir()) == [old]


def test_overwriting_works_where_names_cannot_be_exchanged(old, monkeypatch):
    monkeypatch.setattr(files, "_swap_names", lambda one, other: False)
    write(old, overwrite=True)
    assert read_all(old) == NEW
    assert list(old.parent.iterdir()) == [old]


def test_a_reader_always_finds_the_old_folder_or_the_new_one(old, monkeypatch):
    if not files._swap_names(old, old):
        pytest.skip("this file system cannot exchange two names")
    # The only call that touches the target is one system call.
    monkeypatch.setattr(pathlib.Path, "rename", None)
    write(old, overwrite=True)
    assert read_all(old) == NEW


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_block_that_raises_changes_nothing(tmp_path, old, error, overwrite):
    folder = old if overwrite else tmp_path / "new"
    with pytest.raises(error):
        with atomic_folder(folder, overwrite=overwrite) as new:
            (new / "a.txt").write_text("new")
            raise error
    assert read_all(old) == {"saved_model.pb": "old"}
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_process_leaves_no_half_folder(tmp_path, moment, overwrite):
    folder = tmp_path / "model.v1"
    if overwrite:
        folder.mkdir()
        (folder / "saved_model.pb").write_text("old")
    root = pathlib.Path(files.__file__).parents[1]
    child = subprocess.run(
        [sys.executable, "-c", WRITER, folder, moment],
        env={**os.environ, "PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
    )
    if (moment, overwrite) in (("_exchange", False), ("_rename_new", True)):
        assert child.returncode == 0, child.stderr
        assert len(read_all(folder)) == 5
        return
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert folder.exists() == overwrite
    if overwrite:
        assert read_all(folder) == {"saved_model.pb": "old"}
    left = [path.name for path in tmp_path.iterdir() if path != folder]
    assert all(name.startswith(".model.v1-") and name.endswith(".partial") for name in left)
    write(folder, overwrite=True)
    assert read_all(folder) == NEW
    # The next writer has removed what the killed one left.
    assert list(tmp_path.iterdir()) == [folder]


def test_a_writer_leaves_the_folder_of_a_writer_that_lives(tmp_path):
    folder = tmp_path / "model"
    with atomic_folder(folder) as first:
        (first / "saved_model.pb").write_text("first")
        stranger = tmp_path / ".model-notes.partial"
        stranger.mkdir()
        write(folder)
        assert first.exists() and stranger.exists()
        (folder / "tokenizer.json").write_text("{}")
        write(folder, overwrite=True)
        assert first.exists()
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert read_all(folder) == {"saved_model.pb": "first"}


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ([], True),
        (["mine.txt"], False),
        (["config.json", "src/main.js"], False),
        (["config.json", "model.safetensors"], True),
        (["model-00001-of-00002.safetensors"], True),
        (["tokenizer.json"], True),
        (["1/saved_model.pb", "2/saved_model.pb"], True),
        (["1/saved_model.pb", "notes/mine.txt"], False),
        (["1/saved_model.pb", "mine.txt"], False),
        (["model.safetensors", ".git/HEAD"], False),
    ],
)
def test_overwriting_replaces_only_a_model_or_an_empty_folder(tmp_path, names, allowed):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("old")
    if allowed:
        write(folder, overwrite=True)
        assert read_all(folder) == NEW
        return
    before = read_all(folder)
    with pytest.raises(FileExistsError, match="must be empty or hold a model.*remove it yourself"):
        write(folder, overwrite=True)
    assert read_all(folder) == before


def test_a_full_disk_is_understood_from_the_words_of_another_library(old):
    with pytest.raises(OSError, match="No space left on device; nothing was changed") as caught:
        with atomic_folder(old, overwrite=True):
            raise RuntimeError("variables.data; No space left on device")
    assert caught.value.errno == errno.ENOSPC
    assert read_all(old) == {"saved_model.pb": "old"}


def test_a_full_disk_keeps_the_old_folder(old, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"No space left on device; nothing was changed: '{old}'"):
        write(old, overwrite=True)
    assert read_all(old) == {"saved_model.pb": "old"}
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_keeps_the_old_folder(old, monkeypatch, failing):
    monkeypatch.setattr(files, "_swap_names", lambda one, other: False)
    rename, calls = pathlib.Path.rename, []

    def fail_once(path, target):
        calls.append(target)
        if len(calls) == failing:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", fail_once)
    with pytest.raises(PermissionError, match="Permission denied"):
        write(old, overwrite=True)
    assert read_all(old) == {"saved_model.pb": "old"}
    assert list(old.parent.iterdir()) == [old]


def test_a_new_folder_whose_rename_fails_does_not_appear(tmp_path, monkeypatch):
    def fail(path, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(pathlib.Path, "rename", fail)
    with pytest.raises(PermissionError, match="Permission denied"):
        write(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_who_writes_to_the_folder_meanwhile_loses_nothing(tmp_path):
    folder = tmp_path / "new"
    with pytest.raises(FileExistsError, match="`folder` must be new or empty.*new"):
        with atomic_folder(folder) as new:
            (new / "a.txt").write_text("new")
            folder.mkdir()
            (folder / "other.txt").write_text("other")
    assert read_all(folder) == {"other.txt": "other"}


def test_every_file_is_flushed_before_the_rename(tmp_path, monkeypatch):
    flushed = []

    def record(path):
        flushed.append((path.name, (tmp_path / "new").exists()))

    monkeypatch.setattr(files, "_flush", record)
    write(tmp_path / "new")
    assert sorted(flushed[:3]) == [("a.txt", False), ("b.txt", False), ("sub", False)]
    assert flushed[-1] == (tmp_path.name, True)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_folder_has_the_permissions_of_any_other(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_relative_path_means_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("new")
    assert read_all(tmp_path / "new") == NEW
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(".")
    assert read_all(tmp_path / "here") == NEW
    assert sorted(os.listdir(tmp_path)) == ["here", "new"]


def test_a_link_is_followed_and_stays(tmp_path, old):
    link = tmp_path / "link"
    link.symlink_to(old)
    write(link, overwrite=True)
    assert link.is_symlink() and read_all(old) == NEW
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "later")
    write(dangling)
    assert dangling.is_symlink() and read_all(tmp_path / "later") == NEW


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    write(tmp_path / ("é" * 120))
    assert read_all(tmp_path / ("é" * 120)) == NEW
