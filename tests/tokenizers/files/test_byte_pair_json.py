"""tokenizer.json of Llama 3 and Qwen2, which GPT-2's tests do not reach."""

import pytest

from lmzoo.tokenizers import AddedToken, BytePairTokenizer
from lmzoo.tokenizers.unicode.split_patterns import PATTERNS
from tests.tokenizers.files.editing import (
    SMALL_FILES,
    assert_second_save_is_the_same,
    edit,
    set_value,
)

SPECIAL = ["<|begin|>", "<|endoftext|>", "<tool>"]
TOOL = AddedToken("<tool>", normalized=False)
SETTINGS = {
    "llama3": {"pattern": "llama3", "ignore_merges": True, "add_start_token": True},
    "qwen2": {
        "pattern": "qwen2",
        "normalize_nfc": True,
        "added_tokens": [TOOL],
        "special_tokens": SPECIAL[:2],
    },
    "mixed": {"pattern": "gpt2", "normalize_nfc": True},
}


@pytest.fixture(scope="module")
def parts():
    learned = BytePairTokenizer.train(iter(["a cat, a hat, a cat"]), 270, SPECIAL)
    return learned._vocabulary


def make(parts, name):
    roles = {"start_token": "<|begin|>", "end_token": "<|endoftext|>"}
    settings = {"special_tokens": SPECIAL, **SETTINGS[name]}
    return BytePairTokenizer(parts.ids, parts.merges, **roles, **settings)


def describe(tokenizer):
    names = ("pattern", "ignore_merges", "add_start_token", "normalize_nfc", "added_tokens")
    names += ("start_token", "end_token", "pad_token", "special_tokens")
    return [getattr(tokenizer, name) for name in names]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_come_back_and_a_second_save_writes_the_same_bytes(
    parts, tmp_path, tmp_path_factory, name
):
    tokenizer = make(parts, name)
    tokenizer.save(tmp_path)
    assert describe(BytePairTokenizer.load(tmp_path)) == describe(tokenizer)
    # Files that no class of transformers would read as they are meant are not there.
    slow = ["merges.txt", "vocab.json"] if name == "qwen2" else []
    names = sorted([*SMALL_FILES, "tokenizer.json", *slow])
    assert_second_save_is_the_same(BytePairTokenizer, tmp_path, tmp_path_factory, names)


def test_qwen2_without_tokenizer_json(parts, tmp_path):
    tokenizer = make(parts, "qwen2")
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert describe(BytePairTokenizer.load(tmp_path)) == describe(tokenizer)


def test_a_split_that_removes_nothing_is_read(parts, tmp_path):
    make(parts, "llama3").save(tmp_path)

    def invert(content):
        split = content["pre_tokenizer"]["pretokenizers"][0]
        split.update(behavior="Removed", invert=True)

    edit(tmp_path / "tokenizer.json", invert)
    assert BytePairTokenizer.load(tmp_path).pattern == "llama3"


_LIST = ("pre_tokenizer", "pretokenizers")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value(*_LIST, 7), "`pre_tokenizer.pretokenizers`.* Received: 7"),
        (set_value(*_LIST, []), r"`pre_tokenizer.pretokenizers`.* Received: \[\]"),
        (set_value(*_LIST, 0, 9), r"`pre_tokenizer.pretokenizers`.* Received: \[9, 'ByteLevel'\]"),
        (set_value(*_LIST, 0, "type", "Digits"), "individual_digits`.* Received: None"),
        (set_value(*_LIST, 0, "behavior", "Removed"), r"invert`.* Received: \('Removed', False\)"),
        (set_value(*_LIST, 0, "pattern", "x"), "`pre_tokenizer.pattern`.* Received: 'x'"),
        (set_value(*_LIST, 0, "pattern", {"String": " "}), "pattern.Regex`.* Received: None"),
        (
            set_value(*_LIST, 0, "pattern", {"Regex": r"\d" * 99}),
            "pattern.Regex`.* Received: '.{70,}",
        ),
        (set_value(*_LIST, 1, "use_regex", True), "use_regex`.* Received: True"),
        (set_value(*_LIST, 1, "add_prefix_space", True), "add_prefix_space`.* Received: True"),
        (set_value("post_processor", "processors", 1, "single", 3), "`post_processor.single`.*: 3"),
    ],
)
def test_another_splitting_is_refused_by_name(parts, tmp_path, change, message):
    make(parts, "llama3").save(tmp_path)
    edit(tmp_path / "tokenizer.json", change)
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.load(tmp_path)


def test_a_start_token_that_the_small_file_denies_is_refused(parts, tmp_path):
    make(parts, "llama3").save(tmp_path)
    edit(tmp_path / "tokenizer_config.json", set_value("bos_token", "<tool>"))
    with pytest.raises(ValueError, match="'<|begin|>', which .* Received: '<tool>'"):
        BytePairTokenizer.load(tmp_path)


def test_gpt2s_pattern_may_be_written_out(parts, tmp_path):
    make(parts, "llama3").save(tmp_path)
    path = ("pre_tokenizer", "pretokenizers", 0, "pattern", "Regex")
    edit(tmp_path / "tokenizer.json", set_value(*path, PATTERNS["gpt2"]))
    assert BytePairTokenizer.load(tmp_path).pattern == "gpt2"
