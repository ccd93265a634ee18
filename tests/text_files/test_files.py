import gzip
import os
import re

import pytest

from lmzoo.text_files.bounded_reading import read_blocks
from lmzoo.text_files.files import check_files, fingerprint


def write(path, content):
    path.write_bytes(content)
    return path


def test_suffixes_tell_the_format(tmp_path):
    names = ["a.txt", "b.jsonl", "c.py", "d", "e.JSONL"]
    sources = check_files([write(tmp_path / name, b"x") for name in names])
    assert [(source.jsonl, source.gzipped) for source in sources] == [
        (name.lower().endswith("jsonl"), False) for name in names
    ]
    packed = [write(tmp_path / name, gzip.compress(b"x")) for name in ("a.txt.gz", "b.jsonl.gz")]
    sources = check_files(packed)
    assert [(source.jsonl, source.gzipped) for source in sources] == [(False, True), (True, True)]


def test_one_path_need_not_be_a_list(tmp_path):
    path = write(tmp_path / "a.txt", b"x")
    assert check_files(path) == check_files(str(path)) == check_files(iter([path]))


def test_no_files_are_refused():
    with pytest.raises(ValueError, match=r"at least one path. Received: files=\[\]"):
        check_files([])


@pytest.mark.parametrize("files", [3, None, b"a.txt"])
def test_something_else_than_paths_is_refused(files):
    with pytest.raises(TypeError, match=re.escape(f"Received: files={files!r}")):
        check_files(files)
    with pytest.raises(TypeError, match=re.escape(f"Received: {files!r}")):
        check_files([files])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must exist. Received: '.*gone\.txt'"):
        check_files([write(tmp_path / "a.txt", b"x"), tmp_path / "gone.txt"])


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match=re.escape(f"Received: {str(tmp_path)!r}")):
        check_files([tmp_path])


@pytest.mark.parametrize(
    ("name", "content"), [("e.txt", b""), ("e.gz", gzip.compress(b"", mtime=0))]
)
def test_an_empty_file_is_named(tmp_path, name, content):
    with pytest.raises(ValueError, match=rf"must not be empty. Received: '.*{name}'"):
        check_files(write(tmp_path / name, content))


def test_a_binary_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"UTF-8. Received: '.*b\.txt', which has a zero byte"):
        check_files(write(tmp_path / "b.txt", b"\x7fELF\0\0"))
    with pytest.raises(ValueError, match=r"Received: '.*u\.txt', which has a zero byte"):
        check_files(write(tmp_path / "u.txt", "hello".encode("utf-16")))


def test_another_encoding_is_refused(tmp_path):
    cyrillic = "Всё хорошо, прекрасная маркиза".encode("koi8-r")
    with pytest.raises(ValueError, match=r"Received: '.*k\.txt', where \d\d% of"):
        check_files(write(tmp_path / "k.txt", cyrillic))


def test_replacement_characters_in_the_file_are_no_other_encoding(tmp_path):
    check_files(write(tmp_path / "a.txt", ("\ufffd" * 50).encode()))


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    content = gzip.compress(os.urandom(1 << 17).hex().encode())
    middle = len(content) // 2
    if damage == "cut":
        content = content[:middle]
    elif damage == "flipped":
        content = content[:middle] + bytes(64) + content[middle + 64 :]
    else:
        content = b"no gzip at all"
    path = write(tmp_path / "a.txt.gz", content)
    with pytest.raises(ValueError, match=r"whole gzip files .* Received: '.*a\.txt\.gz'"):
        for source in check_files(path):
            list(read_blocks(source))


def test_blocks_report_the_bytes_on_the_disk(tmp_path):
    content = os.urandom(3_000_000).hex().encode()
    for path in (
        write(tmp_path / "a.txt", content),
        write(tmp_path / "a.txt.gz", gzip.compress(content, 1)),
    ):
        advanced = []
        (source,) = check_files(path)
        assert b"".join(read_blocks(source, advance=advanced.append)) == content
        assert len(advanced) >= 5 and sum(advanced) == path.stat().st_size


def test_a_fingerprint_sees_content_and_not_names(tmp_path):
    small = [write(tmp_path / name, content) for name, content in [("a", b"one"), ("b", b"one")]]
    first, second = (fingerprint(source) for source in check_files(small))
    assert first == second
    status = small[0].stat()
    write(small[0], b"two")
    os.utime(small[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(check_files(small[0])[0]) != first


def test_a_fingerprint_of_a_large_file_sees_its_samples_and_its_time(tmp_path):
    path = write(tmp_path / "a", b"x" * (5 << 20))
    (source,) = check_files(path)
    first = fingerprint(source)
    assert fingerprint(source) == first
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert fingerprint(source) != first
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"y")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(source) != first
