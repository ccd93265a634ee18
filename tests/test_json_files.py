import os
import time

import pytest

from lmzoo.json_files import read_bytes, read_json, read_text, write_bytes, write_json, write_text


def test_what_is_written_is_read(tmp_path):
    content = {"é\u2028": [1, None], "a": {"b": "\n"}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    write_text(tmp_path / "a.txt", "x\r\n\u0085y\n")
    assert read_text(tmp_path / "a.txt") == "x\r\n\u0085y\n"
    write_bytes(tmp_path / "a.model", b"\xff\r\n\0")
    assert read_bytes(tmp_path / "a.model", 4) == b"\xff\r\n\0"
    with pytest.raises(ValueError, match="a.model must have at most 3 bytes. Received: .* with 4"):
        read_bytes(tmp_path / "a.model", 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "a.json must be JSON. Received: "),
        (b"\xff{}", "a.json must be UTF-8. Received: .* byte 0"),
        (b"[1]", "a.json must hold a JSON object. Received: .* a list"),
        (b'{"a": 1, "a": 2}', r"Received: .* \(the key 'a' stands twice\)"),
        (b'{"a":' * 50_000, "a.json must be JSON. Received: "),
        (b'{"a": 1' + b"0" * 5000 + b"}", "a.json must be JSON. Received: "),
        (rb'{"a": "x\ud83d"}', r"in pairs. Received: .*a.json' with 'x\\ud83d'"),
        (rb'{"a": ["b", {"\uDE00\uD83D": 1}]}', r"in pairs. Received: .* with '\\ude00\\ud83d'"),
    ],
)
def test_broken_files_are_refused(tmp_path, data, message):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json")


def test_characters_that_are_escaped_as_pairs_are_read(tmp_path):
    (tmp_path / "a.json").write_bytes(rb'{"\ud83d\ude00": "\\ud83d"}')
    assert read_json(tmp_path / "a.json") == {"\U0001f600": "\\ud83d"}


def test_a_lone_surrogate_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"a.json must hold Unicode text. Received: .*label.ud800"):
        write_json(tmp_path / "a.json", {"a": "label\ud800"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *(("a.json", 2 << 20), ("tokenizer_config.json", 2 << 20), ("tokenizer.json", 64 << 20)),
        *(("vocab.json", 64 << 20), ("vocab.txt", 64 << 20), ("merges.txt", 64 << 20)),
    ],
)
def test_a_large_file_is_refused_before_it_is_read(tmp_path, name, limit):
    with (tmp_path / name).open("wb") as file:
        file.truncate(limit + 1)
    for read in (read_bytes, read_text, read_json):
        with pytest.raises(ValueError, match=f"at most {limit} bytes. Received: .* {limit + 1}"):
            read(tmp_path / name)


@pytest.mark.parametrize(("name", "limit"), [("a.json", 2**16), ("tokenizer.json", 2**22)])
def test_a_file_of_too_many_values_is_refused_before_it_is_parsed(tmp_path, name, limit):
    # Were it parsed, the error would be another one.
    (tmp_path / name).write_bytes(b"[" + b"{}," * (limit // 2) + b" this is no JSON")
    message = f"{name} must have at most {limit} lists, objects and commas. .* with {limit + 1}"
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / name)


def test_a_key_that_stands_twice_is_found_in_linear_time(tmp_path):
    keys = [*range(40_000), 39_999]
    (tmp_path / "a.json").write_text("{" + ",".join(f'"{key}":0' for key in keys) + "}")
    start = time.process_time()
    with pytest.raises(ValueError, match="the key '39999' stands twice"):
        read_json(tmp_path / "a.json")
    # Each compared with each are a billion comparisons.
    assert time.process_time() - start < 5


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"must hold a.json. Received: '{tmp_path}'"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_of_any_other(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "a")
        (tmp_path / "b.txt").write_text("b")
    finally:
        os.umask(before)
    ours, usual = ((tmp_path / name).stat().st_mode for name in ("a.txt", "b.txt"))
    assert ours == usual


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ValueError, match=r"a.txt must hold Unicode text. Received: 'new .ud800'"):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert read_text(tmp_path / "a.txt") == "old"
