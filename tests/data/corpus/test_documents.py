import gzip
import json

import pytest

from lmzoo.data import Cleaning, Corpus, documents


def test_files_follow_one_another_whatever_their_format(tmp_path):
    line = json.dumps({"text": "json"}).encode()
    contents = {
        "a.txt": b"text",
        "b.txt.gz": gzip.compress(b"packed"),
        "c.jsonl": line + b"\n" + line,
        "d.jsonl.gz": gzip.compress(line),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    assert list(documents(paths)) == ["text", "packed", "json", "json", "json"]
    assert list(documents(paths[::-1]))[-1] == "text"


def test_blank_documents_are_left_out(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\n\n\n \n\n\t\n\ntwo\n")
    assert list(documents(path, document_separator="\n\n")) == ["one", "two\n"]


def test_the_first_of_equal_documents_stays(tmp_path):
    path = tmp_path / "a.txt"
    long = "x" * (9 << 20)
    path.write_text(";".join(["a", "b", "a", " <i>b</i>", long, "c", long + "!", long]))
    unique = Cleaning(deduplicate=True)
    texts = list(documents(path, document_separator=";", clean=unique))
    assert texts == ["a", "b", " <i>b</i>", long, "c", long + "!"]
    both = Cleaning(strip_html=True, deduplicate=True)
    path.write_text("b;<i>b</i>;c")
    assert list(documents(path, document_separator=";", clean=both)) == ["b", "c"]


def test_duplicates_leave_no_file_behind(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a;é" * 1000)
    folder = tmp_path / "notes"
    folder.mkdir()
    corpus = Corpus(path, document_separator=";", clean=Cleaning(deduplicate=True))
    assert ["".join(document) for document in corpus.documents(folder)] == ["a", "éa", "é"]
    assert list(folder.iterdir()) == []


def test_the_fingerprint_knows_every_option(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    corpora = [
        Corpus(path),
        Corpus([path, path]),
        Corpus(path, field="body"),
        Corpus(path, document_separator=";"),
        Corpus(path, clean=Cleaning(strip_html=True)),
        Corpus(path, clean=Cleaning(deduplicate=True)),
    ]
    prints = [json.dumps(corpus.fingerprint()) for corpus in corpora]
    assert len(set(prints)) == len(corpora)
    assert json.dumps(Corpus(str(path), clean=Cleaning()).fingerprint()) == prints[0]


def test_an_empty_separator_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Received: document_separator=''\. Pass None"):
        Corpus(tmp_path / "a.txt", document_separator="")


def test_cleaning_must_be_a_cleaning(tmp_path):
    with pytest.raises(TypeError, match=r"Received: clean=\{'strip_html': True\}"):
        Corpus(tmp_path / "a.txt", clean={"strip_html": True})


def test_a_json_file_is_json_lines_where_its_lines_have_the_field_and_else_text(tmp_path):
    path = tmp_path / "a.json"
    for content in ('{"body": "a"}\n{"body": "b"}\n', '{\n  "text": "a"\n}', '["text"]'):
        path.write_text(content)
        assert list(documents(path)) == [content]
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert list(documents(path)) == ["a", "b"]
    path.write_text('{"text": "a"}\n{"body": "b"}\n')
    with pytest.raises(ValueError, match=r"field='text', but .*a\.json:2 has \['body'\]"):
        list(documents(path))
