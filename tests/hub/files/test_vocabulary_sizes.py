"""How large a vocabulary's files may be for a model of so many words."""

import json
import pathlib

import pytest

from lmzoo.hub.files.vocabulary_sizes import check_vocabulary_files, count_pieces


def make_words(count):
    # With all merges, as pairs, and as indented as transformers writes them.
    words = [f"token{index:025}" for index in range(count)]
    model = {"vocab": dict.fromkeys(words, 10**5), "merges": [[word, word] for word in words] * 2}
    added = [{"id": 1, "content": "<a>", "lstrip": False, "special": True}] * 300
    return json.dumps({"added_tokens": added, "model": model}, indent=2)


def test_files_that_fit_are_let_through(tmp_path):
    check_vocabulary_files(tmp_path, 1)
    (tmp_path / "tokenizer.json").write_text(make_words(3_000))
    (tmp_path / "vocab.txt").write_text("".join(f"{index}\n" for index in range(3_000)))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "a b\n" * 7_000)
    check_vocabulary_files(tmp_path, 3_000)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", " " * 4_300_000, "at most 4199424 bytes for the 10 .* with 4300000"),
        (
            "tokenizer.json",
            "[" * 65_657,
            "at most 65656 lists, .* the 10 tokens .* with 65657 or m",
        ),
        ("vocab.json", "{" * 40_000 + "," * 40_000, "at most 65656 lists, .* with 80000 or more"),
        ("merges.txt", "\n" * 65_657, "at most 65656 lines for .* with 65657 or more"),
        ("vocab.txt", "a\n" * 1_045, "at most 1044 lines for the 10 tokens .* with 1045 or more"),
        ("spiece.model", "\n\0" * 1_045, "at most 1044 pieces for the 10 tokens .* with 1045 or m"),
        ("tokenizer.model", "\n\x01a" * 9_999, "at most 1044 pieces for .* with 1045 or more"),
        ("spiece.model", "a" * 4_199_425, "at most 4199424 bytes for the 10 .* with 4199425"),
    ],
)
def test_a_file_that_is_too_large_for_the_model_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} must have {message}"):
        check_vocabulary_files(tmp_path, 10)


GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("path", ["mistral_text/tokenizer.model", "mt5_text/spiece.model"])
def test_the_pieces_of_a_trained_model_are_counted(path):
    from lmzoo.runtime.sentence_piece_file.model import SentencePieceModel

    data = (GOLDEN / path).read_bytes()
    count = len(SentencePieceModel.parse(data).pieces)
    assert count_pieces(data) == count
    assert count_pieces(data, most=7) == 8
    # Cut off within a part, as it is nearly everywhere.
    assert count_pieces(data[:-1]) == 0


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 0),
        (b"\n\x00" * 3, 3),
        (b"\n\x80\x01" + b"a" * 128, 1),
        (b"\n\x80\x80\x01" + b"a" * 2**14, 1),
        (b"\n\x80\x80\x01" + b"a" * (2**14 - 1), 0),
        (b"\n\x00\x12\x01a\n\x00", 2),
        (b"\n", 0),
        (b"\n" + b"\xff" * 99, 0),
        (b"\x08\x01", 0),
        (b"\x12\x00" * 9 + b"\n\x00", 0),
        (b"\x80\x04.", 0),
    ],
)
def test_fields_are_recognised_by_their_tags(data, count):
    assert count_pieces(data) == count
