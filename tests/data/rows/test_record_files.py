import gzip
import os
import re

import pytest

from lmzoo.data.rows import record_files as text_files
from lmzoo.data.rows.record_files import ConcatenatedRecords, Records, TextFile, decode
from lmzoo.text_files import bounded_reading as sources
from lmzoo.text_files.files import check_files


def open_file(path, content):
    path.write_bytes(content)
    return TextFile(check_files(path)[0])


def parse_line(content):
    return {"text": decode(content).rstrip("\n")}


def open_records(path, content, parse=parse_line):
    file = open_file(path, content)
    return Records(file, ("text",), file.lines(), parse)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_come_with_their_number_and_place(tmp_path, mark):
    file = open_file(tmp_path / "a.txt", mark + b"ab\r\n\nc\x0bd\n\xc3\xa9")
    begin = len(mark)
    assert list(file.lines()) == [
        (1, begin, b"ab\r\n"),
        (2, begin + 4, b"\n"),
        (3, begin + 5, b"c\x0bd\n"),
        (4, begin + 9, b"\xc3\xa9"),
    ]
    assert b"".join(file.blocks()) == b"ab\r\n\nc\x0bd\n\xc3\xa9"
    assert file.read(begin + 5, begin + 8) == b"c\x0bd"
    assert [file.line_number(begin + place) for place in (0, 3, 4, 5, 9)] == [1, 1, 2, 3, 4]


def test_a_line_is_counted_over_blocks(tmp_path):
    lines = [b"x" * 1000 + b"%d\n" % number for number in range(3000)]
    file = open_file(tmp_path / "a.txt", b"".join(lines))
    assert file.line_number(sum(map(len, lines[:2999]))) == 3000


def test_a_gzipped_file_is_unpacked_once_into_the_cache(tmp_path, cache_home):
    content = b"".join(b"line %d\n" % number for number in range(1000))
    path = tmp_path / "a.txt.gz"
    made = []
    for _ in range(2):
        file = open_file(path, gzip.compress(content, mtime=0))
        assert b"".join(file.blocks()) == content and file.end == len(content)
        assert file.read(5, 9) == content[5:9]
        assert file.path == path
        (unpacked,) = cache_home.glob("unpacked/*/content")
        made.append((unpacked.stat().st_ino, unpacked.stat().st_mtime_ns))
    assert made[0] == made[1]


def test_a_damaged_gzip_file_is_named(tmp_path):
    content = gzip.compress(os.urandom(1 << 17).hex().encode())
    with pytest.raises(ValueError, match=r"whole gzip files .* Received: '.*a\.txt\.gz'"):
        open_file(tmp_path / "a.txt.gz", content[: len(content) // 2])


def test_a_gzipped_file_that_changes_while_it_is_unpacked_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one"))
    (source,) = check_files(path)

    def change_meanwhile(*arguments):
        yield from sources.read_blocks(*arguments)
        path.write_bytes(gzip.compress(b"two"))

    monkeypatch.setattr(text_files, "read_blocks", change_meanwhile)
    with pytest.raises(RuntimeError, match=rf"Received: {str(path)!r}, which changed"):
        TextFile(source)


@pytest.mark.parametrize("ask", ["lines", "blocks", "row"])
def test_a_file_that_changes_is_refused(tmp_path, ask):
    path = tmp_path / "a.txt"
    records = open_records(path, b"one\ntwo\n")
    file = open_file(path, b"one\ntwo\n")
    path.write_bytes(b"one\ntwo\nthree\n")
    asks = {
        "lines": lambda: list(file.lines()),
        "blocks": lambda: list(file.blocks()),
        "row": lambda: records.row(0),
    }
    with pytest.raises(RuntimeError, match=rf"Received: {str(path)!r}, which changed. Start again"):
        asks[ask]()


def test_a_truncated_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    file = open_file(path, b"one\ntwo\n")
    # The file may shrink between the look at it and the reading.
    monkeypatch.setattr(os, "pread", lambda *arguments: b"")
    with pytest.raises(RuntimeError, match=rf"Received: {str(path)!r}, which changed"):
        file.read(0, 3)


def test_a_record_is_read_by_its_number(tmp_path):
    records = open_records(tmp_path / "a.txt", "é\n\nzwei\n三".encode())
    assert [records.row(index)["text"] for index in (3, 0, 2, 1)] == ["三", "é", "zwei", ""]
    assert [records.place(index) for index in (0, 3)] == [
        f"{tmp_path / 'a.txt'}:1",
        f"{tmp_path / 'a.txt'}:4",
    ]


def test_files_follow_one_another(tmp_path):
    contents = [b"a\nb\n", b"c\n", b"d\ne"]
    chained = ConcatenatedRecords(
        [open_records(tmp_path / f"{n}.txt", content) for n, content in enumerate(contents)]
    )
    assert len(chained) == 5 and chained.columns == ("text",)
    assert [chained.row(index)["text"] for index in range(5)] == list("abcde")
    places = [chained.place(index).rpartition(os.sep)[2] for index in range(5)]
    assert places == ["0.txt:1", "0.txt:2", "1.txt:1", "2.txt:1", "2.txt:2"]


def test_text_in_another_encoding_is_named_with_its_line(tmp_path):
    content = b"fine\n" * 3 + "süß\n".encode("latin-1") + b"fine\n" * 10
    with pytest.raises(ValueError, match=r"a\.txt:4: Text must be in UTF-8. Received: b'\\xfc'"):
        open_records(tmp_path / "a.txt", content)


def test_a_line_within_a_record_is_counted_from_its_first(tmp_path):
    def fail(content):
        decode(b"one\ntwo\n\xff")

    with pytest.raises(ValueError, match=r"a\.txt:3: .* Received: b'\\xff'"):
        open_records(tmp_path / "a.txt", b"x\n", fail)


def test_a_row_that_is_wrong_later_is_named_too(tmp_path):
    bad = []

    def parse(content):
        if content in bad:
            raise ValueError(f"Received: {content}.")
        return parse_line(content)

    records = open_records(tmp_path / "a.txt", b"one\ntwo\n", parse)
    bad.append(b"two\n")
    with pytest.raises(ValueError, match=re.escape("a.txt:2: Received: b'two\\n'.")):
        records.row(1)


def test_a_file_without_a_row_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    file = open_file(path, b"\n")
    with pytest.raises(ValueError, match=rf"at least one row each. Received: {str(path)!r}"):
        Records(file, ("text",), [], parse_line)
