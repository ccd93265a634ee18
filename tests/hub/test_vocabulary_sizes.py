"""How large a vocabulary's files may be for a model of so many words."""

import json

import pytest

from lmzoo.hub.vocabulary_sizes import check_vocabulary_files


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
        ("tokenizer.json", "[" * 65_657, "at most 65656 lists, .* the 10 words .* with 65657 or m"),
        ("vocab.json", "{" * 40_000 + "," * 40_000, "at most 65656 lists, .* with 80000 or more"),
        ("merges.txt", "\n" * 65_657, "at most 65656 lines for .* with 65657 or more"),
        ("vocab.txt", "a\n" * 1_045, "at most 1044 lines for the 10 words .* with 1045 or more"),
        ("spiece.model", "a" * 4_199_425, "at most 4199424 bytes for the 10 .* with 4199425"),
    ],
)
def test_a_file_that_is_too_large_for_the_model_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} must have {message}"):
        check_vocabulary_files(tmp_path, 10)
