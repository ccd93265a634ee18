import os
import socket

import pytest

from lmzoo.hub.files.folders import check_file, check_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.json").write_text("{}")
    return tmp_path / "model"


def make_cache(root, target="../../blobs/abc"):
    """A snapshot of a cache of Hugging Face, whose config is a link."""
    model = root / "models--org--name"
    (model / "blobs").mkdir(parents=True)
    (model / "blobs" / "abc").write_text("{}")
    snapshot = model / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to(target)
    return snapshot


def test_regular_files_and_links_inside_the_folder_may_be_opened(folder):
    (folder / "weights").mkdir()
    (folder / "weights" / "config.json").write_text("{}")
    (folder / "config.json").symlink_to("weights/config.json")
    (folder / "vocab.txt").write_text("a")
    check_folder(folder)


def test_a_folder_that_a_link_names_is_the_caller_s_choice(folder, tmp_path):
    (folder / "config.json").write_text("{}")
    (tmp_path / "latest").symlink_to(folder)
    check_folder(tmp_path / "latest")


def test_what_is_not_there_is_not_asked_for(folder):
    check_folder(folder)
    check_folder(folder / "absent")
    check_folder(folder.parent / "secret.json")


def test_a_snapshot_may_name_the_blobs_of_its_own_model(tmp_path):
    check_folder(make_cache(tmp_path))
    inner = make_cache(tmp_path / "b") / "inner"
    inner.mkdir()
    (inner / "config.json").symlink_to("../../../blobs/abc")
    check_folder(inner)


@pytest.mark.parametrize(
    "target",
    [
        "../../../models--org--other/blobs/abc",
        "../../refs",
        "../../../../secret.json",
        "../../blobs/../../../secret.json",
    ],
)
def test_a_snapshot_may_name_nothing_else(tmp_path, target):
    (tmp_path / "secret.json").write_text("{}")
    make_cache(tmp_path / "x" / ".." / "hub")
    other = tmp_path / "hub" / "models--org--other" / "blobs"
    other.mkdir(parents=True)
    (other / "abc").write_text("{}")
    (tmp_path / "hub" / "models--org--name" / "refs").write_text("main")
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "fedcba"
    snapshot.mkdir()
    (snapshot / "config.json").symlink_to(target)
    assert (snapshot / "config.json").exists()
    with pytest.raises(ValueError, match="links only to files inside it.*fedcba/config.json', whi"):
        check_folder(snapshot)


def test_blobs_that_are_a_link_themselves_are_not_those_of_the_model(tmp_path):
    snapshot = make_cache(tmp_path)
    model = snapshot.parents[1]
    (model / "blobs").rename(tmp_path / "elsewhere")
    (model / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="config.json', which leads to .*elsewhere/abc'"):
        check_folder(snapshot)


def make_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        # A socket's path is short.
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("../secret.json"), "leads to '.*secret.json'"),
        (lambda path: path.symlink_to(path.parent.parent / "secret.json"), "leads to '.*secret"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to("absent"), "is a link to nothing"),
        (lambda path: path.symlink_to(path.name), "cannot be followed"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (make_socket, "is not a regular file"),
    ],
    ids=["climbing", "absolute", "device", "dangling", "loop", "folder", "pipe", "socket"],
)
def test_what_is_not_a_file_of_the_folder_is_refused_by_its_name(folder, make, reason):
    make(folder / "tokenizer.json")
    with pytest.raises(ValueError, match=f"Received: '.*model/tokenizer.json', which {reason}"):
        check_folder(folder)
    check_file(folder, "config.json")


def test_a_linked_folder_inside_is_followed_only_within(folder, tmp_path):
    (tmp_path / "pooling").mkdir()
    (tmp_path / "pooling" / "config.json").write_text("{}")
    (folder / "1_Pooling").symlink_to(tmp_path / "pooling")
    with pytest.raises(ValueError, match="1_Pooling/config.json', which leads to .*pooling/config"):
        check_folder(folder)
