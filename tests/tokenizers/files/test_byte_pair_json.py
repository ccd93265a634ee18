"""tokenizer.json of Llama 3 and Qwen2, which GPT-2's tests do not reach."""

import json

import pytest

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.unicode.split_patterns import PATTERNS

SPECIAL = ["<|begin|>", "<|endoftext|>", "<tool>"]
SMALL = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
SETTINGS = {
    "llama3": {"pattern": "llama3", "ignore_merges": True, "add_start_token": True},
    "qwen2": {"pattern": "qwen2", "normalize_nfc": True, "visible_tokens": ["<tool>"]},
    "mixed": {"pattern": "gpt2", "normalize_nfc": True},
}


@pytest.fixture(scope="module")
def parts():
    learned = BytePairTokenizer.train(iter(["a cat, a hat, a cat"]), 270, SPECIAL)
    return learned._vocabulary


def make(parts, name):
    roles = {"start_token": "<|begin|>", "end_token": "<|endoftext|>"}
    return BytePairTokenizer(parts.ids, parts.merges, SPECIAL, **roles, **SETTINGS[name])


def describe(tokenizer):
    names = ("pattern", "ignore_merges", "add_start_token", "normalize_nfc", "visible_tokens")
    names += ("start_token", "end_token", "pad_token", "special_tokens")
    return [getattr(tokenizer, name) for name in names]


def edit(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_come_back_and_a_second_save_writes_the_same_bytes(parts, tmp_path, name):
    first, second = tmp_path / "first", tmp_path / "second"
    tokenizer = make(parts, name)
    tokenizer.save(first)
    again = BytePairTokenizer.load(first)
    assert describe(again) == describe(tokenizer)
    again.save(second)
    names = sorted(path.name for path in first.iterdir())
    # Files that no class of transformers would read as they are meant are not there.
    slow = ["merges.txt", "vocab.json"] if name == "qwen2" else []
    assert names == sorted([*SMALL, *slow]) == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


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


def _set(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


_LIST = ("pre_tokenizer", "pretokenizers")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(*_LIST, 7), "`pre_tokenizer.pretokenizers`.* Received: 7"),
        (_set(*_LIST, []), r"`pre_tokenizer.pretokenizers`.* Received: \[\]"),
        (_set(*_LIST, 0, 9), r"`pre_tokenizer.pretokenizers`.* Received: \[9, 'ByteLevel'\]"),
        (_set(*_LIST, 0, "type", "Digits"), r"Received: \['Digits', 'ByteLevel'\]"),
        (_set(*_LIST, 0, "behavior", "Removed"), r"invert`.* Received: \('Removed', False\)"),
        (_set(*_LIST, 0, "pattern", "x"), "`pre_tokenizer.pattern`.* Received: 'x'"),
        (_set(*_LIST, 0, "pattern", {"String": " "}), "pattern.Regex`.* Received: None"),
        (_set(*_LIST, 0, "pattern", {"Regex": r"\d" * 99}), "pattern.Regex`.* Received: '.{70,}"),
        (_set(*_LIST, 1, "use_regex", True), "use_regex`.* Received: True"),
        (_set(*_LIST, 1, "add_prefix_space", True), "add_prefix_space`.* Received: True"),
        (_set("post_processor", "processors", 1, "single", 3), "`post_processor.single`.*: 3"),
    ],
)
def test_another_splitting_is_refused_by_name(parts, tmp_path, change, message):
    make(parts, "llama3").save(tmp_path)
    edit(tmp_path / "tokenizer.json", change)
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.load(tmp_path)


def test_a_start_token_that_the_small_file_denies_is_refused(parts, tmp_path):
    make(parts, "llama3").save(tmp_path)
    edit(tmp_path / "tokenizer_config.json", _set("bos_token", "<tool>"))
    with pytest.raises(ValueError, match="'<|begin|>', which .* Received: '<tool>'"):
        BytePairTokenizer.load(tmp_path)


def test_gpt2s_pattern_may_be_written_out(parts, tmp_path):
    make(parts, "llama3").save(tmp_path)
    path = ("pre_tokenizer", "pretokenizers", 0, "pattern", "Regex")
    edit(tmp_path / "tokenizer.json", _set(*path, PATTERNS["gpt2"]))
    assert BytePairTokenizer.load(tmp_path).pattern == "gpt2"
