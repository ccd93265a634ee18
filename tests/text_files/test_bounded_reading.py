import gzip
import io
import json
import os
import re
import socket

import pytest

import lmzoo
from lmzoo.data import ReadLimits
from lmzoo.text_files.bounded_reading import parse_json, read_blocks, split_lines
from lmzoo.text_files.files import check_files

READERS = {
    "text": lambda path: list(lmzoo.data.documents(path)),
    "table": lambda path: lmzoo.data.read_table(path, "sentence", delimiter="\t"),
    "conll": lmzoo.data.read_conll,
    "squad": lmzoo.data.read_squad,
    "glue": lambda path: lmzoo.data.read_glue(path, "sst2"),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@every_reader
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"must be regular files. Received: '.*pipe', which is a"):
        read(path)


def test_a_device_and_a_socket_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in ("/dev/zero", "socket"):
            with pytest.raises(ValueError, match=f"must be regular files. Received: '{path}'"):
                check_files(path)


def test_a_pipe_in_a_folder_of_texts_is_refused(tmp_path):
    (tmp_path / "pos").mkdir()
    os.mkfifo(tmp_path / "pos" / "0.txt")
    with pytest.raises(ValueError, match=r"regular files in .txt. Received: '.*pos/0.txt'"):
        lmzoo.data.read_folders(tmp_path)


@every_reader
def test_a_zero_byte_is_found_wherever_it_is(tmp_path, read):
    path = tmp_path / "a.txt"
    path.write_bytes(b"sentence\tlabel\n" + b"x\t1\n" * 60_000 + b"x\0\t1\n")
    # A wrong format may be told first, but no file with a zero byte is read to its end.
    with pytest.raises(ValueError, match=r"a zero byte at byte 240016|must have '\{'"):
        read(path)


def test_a_zero_byte_is_refused_after_decompression_too(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"x" * 100_000 + b"\0"))
    with pytest.raises(ValueError, match=r"a.txt.gz', which has a zero byte at byte 100000"):
        list(lmzoo.data.documents(path))


def read_documents(*arguments, **options):
    return list(lmzoo.data.documents(*arguments, **options))


@pytest.mark.parametrize("read", [lmzoo.data.read_conll, read_documents])
def test_a_gzip_file_is_unpacked_up_to_a_limit(tmp_path, cache_home, read):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"x y\n" * 1000))
    assert len(read(path, limits=ReadLimits(max_unpacked_bytes=4000)))
    for limit in (3999, 1):
        with pytest.raises(ValueError, match=f"at most {limit} bytes after decompression. .*gz'"):
            read(path, limits=ReadLimits(max_unpacked_bytes=limit))


def test_a_gzip_bomb_is_refused_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr("lmzoo.text_files.bounded_reading._LEAST_UNPACKED", 3 << 20)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"x" * (5 << 20)))
    (source,) = check_files(path)
    blocks = read_blocks(source)
    assert sum(len(next(blocks)) for _ in range(3)) == 3 << 20
    with pytest.raises(ValueError, match="If it is no gzip bomb, pass limits="):
        next(blocks)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_those_of_python_whatever_the_blocks_are(size):
    for content in (b"", b"\n", b"a", b"a\n", b"ab\r\n\n\nc\x0bd\re\n\xc3\xa9"):
        blocks = [content[start : start + size] for start in range(0, len(content), size)]
        assert list(split_lines(blocks, "a.txt")) == list(io.BytesIO(content))


def test_a_line_over_the_limit_is_named_and_never_read_to_its_end():
    def endless():
        yield b"a\nb\n"
        while True:
            yield b"x" * 10

    limits = ReadLimits(max_record_bytes=100)
    with pytest.raises(ValueError, match=r"a.txt:3: A record must have at most 100 bytes"):
        list(split_lines(endless(), "a.txt", limits))
    line = b"x" * 99 + b"\n"
    assert list(split_lines([line, line], "a.txt", limits)) == [line, line]
    with pytest.raises(ValueError, match=r"a.txt:2: A record"):
        list(split_lines([line, b"x" + line], "a.txt", limits))


def test_values_are_counted_before_json_is_parsed():
    limits = ReadLimits(max_items=4)
    for text in ('"[,[,[,{{{{"', "[1, 2, 3]", '{"a": [], "b": 1}', r'"\"[[[[[,,,,"'):
        parse_json(text, limits)
    for text in ("[1, 2, 3, 4]", "[[[[1]]]]", '["\\"[", {}, [], 1]'):
        with pytest.raises(ValueError, match=r"at most 4 values. Received: [57]"):
            parse_json(text, limits)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1", None])
@pytest.mark.parametrize("name", ["max_record_bytes", "max_items", "max_unpacked_bytes"])
def test_limits_are_positive_integers(name, limit):
    if name == "max_unpacked_bytes" and limit is None:
        assert ReadLimits(max_unpacked_bytes=None) == ReadLimits()
        return
    with pytest.raises(ValueError, match=re.escape(f"at least 1. Received: {name}={limit!r}.")):
        ReadLimits(**{name: limit})


def test_limits_of_another_type_are_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    with pytest.raises(TypeError, match="must be a ReadLimits or None. Received: limits=3"):
        list(lmzoo.data.documents(path, limits=3))


HOSTILE = """
import json, pathlib, resource, sys
from lmzoo.data import (
    ReadLimits, documents, read_conll, read_folders, read_glue, read_squad, read_table)

scale, megabytes = int(sys.argv[1]), int(sys.argv[2])
limits = ReadLimits((16 << 20) // scale, (1 << 20) // scale)

def write(name, *parts, times=0):
    # Part 1 comes as often as it takes to have `times` million of them at scale 1.
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for number, part in enumerate(parts):
            count = times * 1_000_000 // scale if number == 1 else 1
            while count:
                now = min(count, 100_000)
                file.write(part * now)
                count -= now
    return path

cases = {
    "header": lambda: read_table(write("a.tsv", b"", b"x", times=80), limits=limits),
    "columns": lambda: read_table(write("b.tsv", b"", b"x\\t", b"\\n1\\n", times=4), limits=limits),
    "columns below the size": lambda: read_table(
        write("d.tsv", b"", b"ab\\t", b"\\n1\\n", times=5), limits=limits),
    "words below the size": lambda: read_conll(
        write("b.conll", b"", b"a b\\n", times=4), limits=limits),
    "header of GLUE": lambda: read_glue(
        write("c.tsv", b"", b"x", times=80), "sst2", limits=limits),
    "list elements": lambda: read_table(
        write("a.jsonl", b'{"text": [', b"[],", b"[]]}", times=15), limits=limits),
    "list elements below the size": lambda: read_table(
        write("b.jsonl", b'{"text": [', b"[],", b"[]]}", times=5), limits=limits),
    "open quote": lambda: read_table(
        write("a.csv", b'text,label\\n"a,b\\n', b"xxxxxxx\\n", times=20), limits=limits),
    "sentence": lambda: read_conll(write("a.conll", b"", b"a b\\n", times=30), limits=limits),
    "document": lambda: list(documents(
        write("c.jsonl", b'{"text": "a"}\\n{"text": "', b"x", b'"}', times=100), limits=limits)),
    "open string": lambda: read_squad(
        write("a.json", b'{"data": [{"paragraphs": [{"context": "', b"x", times=100),
        limits=limits),
    "text": lambda: read_folders(
        write("folder/pos/0.txt", b"", b"x", times=80).parents[1], limits=limits),
}
question = b'{"id": "1", "question": "q", "context": "c", "answers": []}'
data = b'"data": [{"paragraphs": [{"context": "c", "qas": [' + question + b"]}]}]}"
unread = write("b.json", b'{"unread": [', b"[],", b"[]], " + data, times=17)

# The address space that is taken already, and some more.
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (megabytes << 20), -1))
results = {}
for name, case in cases.items():
    try:
        case()
        results[name] = "read"
    except ValueError as error:
        results[name] = str(error)
    except MemoryError:
        results[name] = "out of memory"
results["unread key"] = len(read_squad(unread))
print(json.dumps(results))
"""


# The full size takes half a minute; the limits and the memory of the other one are 16 times lower.
@pytest.mark.parametrize(
    ("scale", "megabytes"), [(16, 60), pytest.param(1, 250, marks=pytest.mark.slow)]
)
def test_a_hostile_file_takes_neither_much_memory_nor_a_long_message(run_python, scale, megabytes):
    output, _ = run_python(HOSTILE, scale, megabytes)
    results = json.loads(output)
    assert results.pop("unread key") == 1
    assert len(results) == 12
    for name, message in results.items():
        assert re.search("must|may|at most", message) and len(message) < 400, name
