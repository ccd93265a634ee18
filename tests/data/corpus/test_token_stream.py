import json
import os
import re
import signal

import numpy as np
import pytest

import lmzoo
from lmzoo.data import Cleaning, Corpus, stream_tokens
from lmzoo.data.corpus.token_stream import open_stream, write_stream
from tests.data.byte_tokenizer import ByteTokenizer

END = 256


def expected_ids(documents):
    return [token for text in documents for token in (END, *text.encode())]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one;two;three é")
    return path


def test_a_document_is_the_end_token_and_its_tokens(path, tokenizer):
    stream = stream_tokens(Corpus(path, document_separator=";"), tokenizer)
    assert stream.token_ids.tolist() == expected_ids(["one", "two", "three é"])
    assert stream.starts.tolist() == [0, 4, 8]
    assert len(stream) == 17


class StartingTokenizer(ByteTokenizer):
    """Its prompts begin with a start token, as Llama's do."""

    start_token_id, add_start_token = 257, True

    def __init__(self):
        super().__init__(vocabulary_size=258)


def test_where_prompts_have_a_start_token_documents_have_it_too(path):
    options = {"document_separator": ";"}
    stream = stream_tokens(Corpus(path, **options), StartingTokenizer(), add_start=True)
    texts = ["one", "two", "three \u00e9"]
    expected = [id for text in texts for id in (257, *text.encode(), END)]
    assert stream.token_ids.tolist() == expected
    assert stream.starts.tolist() == [0, 5, 10] and stream.first_token_id == 257
    plain = stream_tokens(Corpus(path, **options), StartingTokenizer())
    assert plain.token_ids.tolist() == expected_ids(texts) and plain.first_token_id == END


def test_a_long_corpus_with_start_tokens_is_the_same_stream_as_computed_at_once(tmp_path):
    texts = ["ab \u00e9\n" * length + "x" for length in range(0, 20_000, 700)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    stream = stream_tokens(Corpus(path), StartingTokenizer(), add_start=True)
    expected = np.array([id for text in texts for id in (257, *text.encode(), END)])
    np.testing.assert_array_equal(stream.token_ids, expected)
    np.testing.assert_array_equal(stream.starts, np.flatnonzero(expected == 257))


def test_a_long_corpus_is_the_same_stream_as_computed_at_once(tmp_path, tokenizer):
    rng = np.random.default_rng(0)
    texts = ["ab é\n" * int(length) + "x" for length in rng.integers(0, 20_000, 90)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    stream = stream_tokens(Corpus(path), tokenizer)
    expected = expected_ids(texts)
    np.testing.assert_array_equal(stream.token_ids, expected)
    np.testing.assert_array_equal(stream.starts, np.flatnonzero(np.array(expected) == END))


@pytest.mark.parametrize(("size", "dtype"), [(1 << 16, "uint16"), ((1 << 16) + 1, "uint32")])
def test_ids_take_as_many_bytes_as_the_vocabulary_needs(path, size, dtype):
    stream = stream_tokens(Corpus(path), ByteTokenizer(size, end_token_id=size - 1))
    assert stream.token_ids.dtype == dtype
    assert stream.token_ids[0] == size - 1


def refuse(texts):
    raise AssertionError("tokenized again")


def test_a_later_run_does_not_tokenize(path, tokenizer, tmp_path):
    first = stream_tokens(Corpus(path), tokenizer)
    tokenizer.tokenize = refuse
    assert stream_tokens(Corpus(path), tokenizer).folder == first.folder
    # The name and the place of a file say nothing about what is in it.
    moved = path.rename(tmp_path / "moved.py")
    assert stream_tokens(Corpus(moved), tokenizer).folder == first.folder


def test_whatever_changes_the_tokens_makes_a_new_stream(path, tokenizer, monkeypatch):
    def folder(tokenizer=tokenizer, **options):
        return stream_tokens(Corpus(path, **options), tokenizer).folder

    folders = [
        folder(),
        folder(document_separator=";"),
        folder(clean=Cleaning(strip_control=True)),
        folder(ByteTokenizer(note="other merges")),
        folder(ByteTokenizer(end_token_id=7)),
    ]
    path.write_text("one;two;three ü")
    folders.append(folder())
    assert folder().joinpath("tokens.bin").stat().st_size == 2 * 17
    monkeypatch.setattr(lmzoo, "__version__", "0.0.0")
    folders.append(folder())
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("name", ["manifest.json", "tokens.bin", "starts.bin"])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_cache_is_made_anew(path, tokenizer, name, damage):
    stream = stream_tokens(Corpus(path, document_separator=";"), tokenizer)
    expected = stream.token_ids.tolist()
    file = stream.folder / name
    if damage == "gone":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size - 4)
    assert open_stream(stream.folder) is None
    again = stream_tokens(Corpus(path, document_separator=";"), tokenizer)
    assert again.token_ids.tolist() == expected


@pytest.mark.slow
def test_a_process_killed_while_tokenizing_leaves_nothing_that_is_taken(
    path, tokenizer, start_python, cache_home
):
    path.write_text("some words in a line\n" * 100_000)
    code = """
import sys, time
from byte_tokenizer import ByteTokenizer
from lmzoo.data import Corpus, stream_tokens

tokenizer, calls = ByteTokenizer(), []
whole = tokenizer.tokenize

def tokenize(texts):
    calls.append(texts)
    if len(calls) == 2:
        print("in the middle", flush=True)
        time.sleep(600)
    return whole(texts)

tokenizer.tokenize = tokenize
stream_tokens(Corpus(sys.argv[1]), tokenizer)
"""
    with start_python(code, path) as process:
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
    left = [folder.name for folder in (cache_home / "tokens").iterdir() if folder.is_dir()]
    assert len(left) == 1 and left[0].endswith(".partial")
    stream = stream_tokens(Corpus(path), tokenizer)
    np.testing.assert_array_equal(stream.token_ids, expected_ids([path.read_text()]))
    left = [folder.name for folder in (cache_home / "tokens").iterdir() if folder.is_dir()]
    assert left == [stream.folder.name]


def test_a_file_that_changes_while_it_is_read_is_reported(path, tokenizer, cache_home):
    whole = tokenizer.tokenize

    def tokenize(texts):
        path.write_text("something else")
        return whole(texts)

    tokenizer.tokenize = tokenize
    with pytest.raises(RuntimeError, match=r"Received: one of \['.*a\.txt'\], which changed"):
        stream_tokens(Corpus(path), tokenizer)
    assert not [folder for folder in (cache_home / "tokens").iterdir() if folder.is_dir()]


def test_invalid_utf8_is_reported_once(tmp_path, tokenizer):
    path = tmp_path / "a.txt"
    path.write_bytes(b"long enough to be text \xff\xfe\n")
    with pytest.warns(UserWarning, match=r"2 characters in 1 file.*a\.txt: 2"):
        stream = stream_tokens(Corpus(path), tokenizer)
    assert bytes(stream.token_ids[1:].astype(np.uint8)).decode().count("\ufffd") == 2
    stream_tokens(Corpus(path), tokenizer)


def test_a_tokenizer_without_an_end_token_is_refused(path, cache_home):
    with pytest.raises(ValueError, match=r"Received: ByteTokenizer with end_token_id=None"):
        stream_tokens(Corpus(path), ByteTokenizer(end_token_id=None))
    assert not cache_home.exists()


def test_an_id_outside_the_vocabulary_is_refused(path):
    with pytest.raises(ValueError, match=r"Received: ids from 32 to 256, vocabulary_size=99"):
        stream_tokens(Corpus(path), ByteTokenizer(vocabulary_size=99))


def test_a_corpus_without_text_is_refused(path, tokenizer):
    path.write_text(" \n\t\n")
    with pytest.raises(ValueError, match=r"some text. Received: 0 documents"):
        stream_tokens(Corpus(path), tokenizer)


def test_a_bad_line_is_named_and_nothing_stays(tmp_path, tokenizer, cache_home):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n' * 200_000 + "bad\n")
    with pytest.raises(ValueError, match=re.escape(f"Received: {path}:200001: 'bad'")):
        stream_tokens(Corpus(path), tokenizer)
    assert not [folder for folder in (cache_home / "tokens").iterdir() if folder.is_dir()]


def test_a_stream_may_begin_inside_a_document(tmp_path):
    write_stream(tmp_path, [(np.array([1, 2]), np.array([], int))], END, 257)
    stream = open_stream(tmp_path)
    assert (stream.token_ids.tolist(), stream.starts.tolist()) == ([1, 2], [])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path, run_python):
    code = """
import sys
from byte_tokenizer import ByteTokenizer
from lmzoo.data import Cleaning, Corpus, stream_tokens
from lmzoo.runtime.measuring import read_peak_memory

def peak(path, **options):
    stream_tokens(Corpus(path, **options), ByteTokenizer())
    return read_peak_memory() / 2**20

for options in ({}, {"document_separator": "\\n", "clean": Cleaning(deduplicate=True)}):
    before = peak(sys.argv[1], **options)
    print(peak(sys.argv[2], **options) - before)
"""
    line = "not very interesting " * 48 + "{}\n"
    for name, count in (("small.txt", 8_000), ("large.txt", 64_000)):
        with open(tmp_path / name, "w") as file:
            file.writelines(line.format(number) for number in range(count))
    output, _ = run_python(code, tmp_path / "small.txt", tmp_path / "large.txt")
    # 57 MB more of text are 229 MB more of int32 ids.
    assert all(float(growth) < 24 for growth in output.split()), output
