import pytest

from lmzoo import json_files
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
        (b'{"a":' * 100_000, "a.json must be JSON. Received: "),
        (b'{"a": 1' + b"0" * 5000 + b"}", "a.json must be JSON. Received: "),
    ],
)
def test_broken_files_are_refused(tmp_path, data, message):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(json_files.MAX_BYTES + 1)
    with pytest.raises(ValueError, match=f"Received: .* with {json_files.MAX_BYTES + 1}"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"must hold a.json. Received: '{tmp_path}'"):
        read_json(tmp_path / "a.json")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "new \ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert read_text(tmp_path / "a.txt") == "old"
