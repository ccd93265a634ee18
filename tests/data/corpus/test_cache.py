import concurrent.futures
import pathlib
import time

import pytest

from lmzoo.data.corpus.cache import cache_folder, cache_key, open_or_build


def open_note(folder):
    path = folder / "note"
    return path.read_text() if path.exists() else None


def write_note(folder):
    (folder / "note").write_text("made")


def test_the_cache_is_where_the_caller_or_the_environment_says(monkeypatch):
    monkeypatch.setenv("LMZOO_CACHE", "/one")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    monkeypatch.setenv("HOME", "/three")
    assert cache_folder("/here") == pathlib.Path("/here/tokens")
    assert cache_folder() == pathlib.Path("/one/tokens")
    monkeypatch.delenv("LMZOO_CACHE")
    assert cache_folder() == pathlib.Path("/two/lmzoo/tokens")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == pathlib.Path("/three/.cache/lmzoo/tokens")


def test_a_key_depends_on_the_content_and_not_on_its_order():
    assert (
        cache_key({"a": 1, "b": [2]})
        == cache_key({"b": [2], "a": 1})
        != cache_key({"a": 1, "b": [3]})
    )


def test_a_folder_is_made_once(tmp_path):
    calls = []
    for _ in range(3):
        opened = open_or_build(tmp_path / "a", open_note, lambda f: calls.append(write_note(f)))
        assert opened == "made"
    assert len(calls) == 1


def test_a_failure_leaves_nothing(tmp_path):
    def build(folder):
        write_note(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_or_build(tmp_path / "a", open_note, build)
    assert [path.name for path in tmp_path.iterdir()] == [".a.lock"]


def test_a_broken_folder_is_made_anew(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "other").write_text("left")
    assert open_or_build(tmp_path / "a", open_note, write_note) == "made"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["note"]


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    (tmp_path / ".a-xyz.partial").mkdir()
    (tmp_path / ".ab-xyz.partial").mkdir()
    open_or_build(tmp_path / "a", open_note, write_note)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.lock", ".ab-xyz.partial", "a"]


def test_a_folder_that_cannot_be_opened_after_it_was_made_is_reported(tmp_path):
    with pytest.raises(RuntimeError, match=r"must open after it is built. Received: '.*/a'"):
        open_or_build(tmp_path / "a", lambda folder: None, write_note)


def test_of_several_that_want_it_one_makes_it_and_the_others_wait(tmp_path):
    # Each call opens the lock anew, so threads stand for processes here.
    calls = []

    def build(folder):
        calls.append(folder)
        time.sleep(0.2)
        write_note(folder)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        opened = [pool.submit(open_or_build, tmp_path / "a", open_note, build) for _ in range(4)]
        assert [one.result() for one in opened] == ["made"] * 4
    assert len(calls) == 1
