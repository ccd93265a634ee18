import collections
import json
import random
import re

import pytest

from lmzoo.text_files import bounded_reading
from lmzoo.text_files.files import check_files
from lmzoo.text_files.reading import read_documents


def read(path, content, **options):
    path.write_bytes(content)
    (source,) = check_files(path)
    return ["".join(parts) for parts in read_documents(source, **options)]


def test_a_text_file_is_one_document_unchanged(tmp_path):
    text = "one\r\n\r\n  two\t\n\n\nthree \u2028 \x0c é 👩‍👩‍👧\r"
    assert read(tmp_path / "a.txt", text.encode()) == [text]


def test_a_byte_order_mark_is_dropped_at_the_beginning_only(tmp_path):
    assert read(tmp_path / "a.txt", "\ufeffa\ufeffb".encode()) == ["a\ufeffb"]
    line = json.dumps({"text": "a"}).encode()
    assert read(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + line + b"\n" + line) == ["a", "a"]


@pytest.mark.parametrize("separator", ["\n\n", "\n", "<|end|>", "aab"])
@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_separators_split_as_str_split_does(tmp_path, monkeypatch, separator, block):
    monkeypatch.setattr(bounded_reading, "BLOCK", block)
    draw = random.Random(block)
    for _ in range(20):
        text = "".join(draw.choice(["a", "b", "é", "\n", separator]) for _ in range(60))
        documents = read(tmp_path / "a.txt", text.encode(), document_separator=separator)
        assert documents == text.split(separator)


def test_a_document_that_nobody_read_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_reading, "BLOCK", 2)
    path = tmp_path / "a.txt"
    path.write_text("first;second;third")
    (source,) = check_files(path)
    documents = read_documents(source, document_separator=";")
    assert next(next(documents))
    next(documents)
    assert "".join(next(documents)) == "third"


def test_each_json_line_is_a_document(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_reading, "BLOCK", 5)
    texts = ["one\ntwo", "", "é 你好", "a" * 50]
    lines = "\n".join(json.dumps({"id": 1, "body": text}) for text in texts) + "\n\n  \n"
    assert read(tmp_path / "a.jsonl", lines.encode(), field="body") == texts
    assert read(tmp_path / "a.jsonl", lines.replace("\n", "\r\n").encode(), field="body") == texts


@pytest.mark.parametrize("line", ["{broken", "[" * 100_000, '{"text": "a"'])
def test_a_line_that_is_not_json_is_named(tmp_path, line):
    content = f'{{"text": "a"}}\n\n{line}'.encode()
    with pytest.raises(ValueError, match=rf"Received: .*a\.jsonl:3: {re.escape(repr(line[:60]))}"):
        read(tmp_path / "a.jsonl", content)


@pytest.mark.parametrize(
    ("line", "found"),
    [('{"body": "a", "id": 1}', "['body', 'id']"), ('{"text": 3}', "['text']"), ('"a"', "str")],
)
def test_a_line_without_the_field_is_named(tmp_path, line, found):
    with pytest.raises(
        ValueError, match=rf"field='text', but .*a\.jsonl:1 has {re.escape(found)}\."
    ):
        read(tmp_path / "a.jsonl", line.encode())


@pytest.mark.parametrize("block", [1, 2, 5, 1000])
def test_invalid_bytes_are_replaced_and_counted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(bounded_reading, "BLOCK", block)
    content = b"abcdefgh\xffijkl" + "\ufffdé".encode() * 3 + b"mnopqrstuvw\xc3"
    counts = collections.Counter()
    documents = read(tmp_path / "a.txt", content, replaced=lambda n: counts.update(n=n))
    assert documents == [content.decode("utf-8", errors="replace")]
    assert counts["n"] == 2


def test_a_lone_surrogate_becomes_a_replacement_character(tmp_path):
    counts = collections.Counter()
    line = rb'{"text": "a\ud83d\ude00b\ud800c"}'
    documents = read(tmp_path / "a.jsonl", line, replaced=lambda n: counts.update(n=n))
    assert documents == ["a😀b\ufffdc"]
    assert counts["n"] == 1
