import copy
import dataclasses
import json
import sys

import pytest

from lmzoo.runtime.manifest import TokenizerSpec
from lmzoo.runtime.tokenization import make_tokenizer
from lmzoo.runtime.tokenization.tokenizer_json import PATTERNS
from lmzoo.tokenizers.unicode import split_patterns

_NONE = dict.fromkeys(
    ("start_token_id", "end_token_id", "pad_token_id", "unknown_token_id", "mask_token_id")
)
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
_SPLIT = {"type": "Split", "pattern": {"Regex": PATTERNS[0]}, "behavior": "Isolated"}
_RAW = {**_BYTE_LEVEL, "use_regex": False}


def make_byte_pair(**changes):
    spec = TokenizerSpec("byte_pair", "tokenizer.json", 4, special_tokens={"<end>": 3}, **_NONE)
    content = {
        "normalizer": None,
        "pre_tokenizer": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "vocab": {"a": 0, "b": 1, "ab": 2, "<end>": 3},
            "merges": [["a", "b"]],
        },
    }
    return spec, content, changes


def make_word_piece(**changes):
    spec = TokenizerSpec(
        "word_piece",
        "tokenizer.json",
        4,
        special_tokens={"[UNK]": 3},
        **{**_NONE, "unknown_token_id": 3},
    )
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "lowercase": True,
        "strip_accents": None,
    }
    content = {
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"a": 0, "b": 1, "##b": 2, "[UNK]": 3},
        },
    }
    return spec, content, changes


def open_changed(spec, content, changes):
    content = copy.deepcopy(content)
    for name, value in changes.items():
        *parents, last = name.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
    return make_tokenizer(spec, json.dumps(content).encode())


def test_the_unchanged_ones_tokenize():
    assert open_changed(*make_byte_pair()).tokenize("abab<end>") == [2, 2, 0, 1][:2]
    assert open_changed(*make_word_piece()).tokenize("AB c [UNK]") == [0, 2, 3, 3, 3, 3]
    merges = make_byte_pair(model__merges=["a b"])
    assert open_changed(*merges).tokenize("ab") == [2]


def test_the_patterns_are_those_of_the_graph():
    known = [regex for name, regex in split_patterns.PATTERNS.items() if name != "gpt2" and regex]
    assert sorted(PATTERNS) == sorted(known)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (make_byte_pair(model=[]), "TypeError"),
        (make_byte_pair(model__vocab=["a"]), "Received: 'list'"),
        (make_byte_pair(model__vocab={}), "Received: 'dict'"),
        (make_byte_pair(model__vocab={"a": 1, "<end>": 3}), r"Received: \[1, 3\]"),
        (make_byte_pair(model__vocab={"a": 0, "b": True}), r"Received: \[0, True\]"),
        (make_byte_pair(model__vocab={c: i for i, c in enumerate("abcde")}), "Received: 5"),
        (make_byte_pair(model__vocab={"a": 0, "b": 1, "<end>": 2}), "Received: '<end>'"),
        (make_byte_pair(model__vocab={"a": 0, "b": 1, "ab": 2}), "Received: 3"),
        (make_byte_pair(model__type="Unigram"), "Received: 'Unigram'"),
        (make_byte_pair(model__dropout=0.1), "dropout.*Received: 0.1"),
        (make_byte_pair(model__byte_fallback=True), "byte_fallback.*Received: True"),
        (make_byte_pair(model__ignore_merges="x"), "ignore_merges.*Received: 'x'"),
        (make_byte_pair(model__merges=[["a", "c"]]), "others"),
        (make_byte_pair(model__merges=[["a", "b", "c"]]), "others"),
        (make_byte_pair(model__merges=5), "others"),
        (make_byte_pair(normalizer={"type": "Replace"}), "Received: {'type': 'Replace'}"),
        (make_byte_pair(pre_tokenizer=None), "Received: None"),
        (make_byte_pair(pre_tokenizer={"type": "Split"}), "Received: 'Split'"),
        (make_byte_pair(pre_tokenizer__use_regex=False), "Received: False"),
        (make_byte_pair(pre_tokenizer__add_prefix_space=1), "Received: 1"),
        (make_byte_pair(pre_tokenizer={"type": "Sequence", "pretokenizers": [1]}), r"\[1\]"),
        (
            make_byte_pair(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [{**_SPLIT, "pattern": {"Regex": "(a+)+b"}}, _RAW],
                }
            ),
            r"Received: '\(a\+\)\+b'",
        ),
        (
            make_byte_pair(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [{**_SPLIT, "behavior": "Removed"}, _RAW],
                }
            ),
            "Received: 'Removed'",
        ),
        (
            make_byte_pair(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [{"type": "Digits", "individual_digits": 0}, _BYTE_LEVEL],
                }
            ),
            "Received: 0",
        ),
        (make_word_piece(model__type="BPE"), "Received: 'BPE'"),
        (make_word_piece(model__continuing_subword_prefix=""), "Received: ''"),
        (make_word_piece(model__max_input_chars_per_word=10**9), "Received: 1000000000"),
        (make_word_piece(normalizer=None), "Received: None"),
        (make_word_piece(normalizer__type="NFC"), "Received: 'NFC'"),
        (make_word_piece(normalizer__clean_text=False), "Received: False"),
        (make_word_piece(normalizer__lowercase=None), "Received: None"),
        (make_word_piece(normalizer__strip_accents=1), "Received: 1"),
        (make_word_piece(pre_tokenizer__type="Metaspace"), "Received: 'Metaspace'"),
        (
            make_word_piece(
                pre_tokenizer={"type": "Whitespace"},
                normalizer={"type": "Sequence", "normalizers": [{"type": "Replace"}]},
            ),
            r"Received: \['Replace'\]",
        ),
    ],
)
def test_what_lmzoo_does_not_write_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        open_changed(*parts)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b"null"])
def test_what_is_no_tokenizer_json_is_refused(data):
    spec, *_ = make_byte_pair()
    with pytest.raises(ValueError, match="must be that of a tokenizer. Received: b"):
        make_tokenizer(spec, data)


def test_an_added_token_must_have_its_id():
    spec, content, _ = make_byte_pair()
    spec = dataclasses.replace(spec, vocabulary_size=6, added_tokens=[("xx", 5, True)])
    with pytest.raises(ValueError, match="'xx' with id 5. Received: 4"):
        open_changed(spec, content, {})


def test_a_word_piece_needs_an_unknown_token():
    spec, content, _ = make_word_piece()
    with pytest.raises(ValueError, match="unknown_token_id.*Received: None"):
        open_changed(dataclasses.replace(spec, unknown_token_id=None), content, {})


def test_a_broken_model_file_is_refused(unigram_tokenizer):
    roles = {**_NONE, "special_tokens": {"<unk>": 2}}
    spec = TokenizerSpec("sentence_piece", "spiece.model", 10, **roles)
    with pytest.raises(ValueError, match="Received: b'abc'"):
        make_tokenizer(spec, b"abc")
    with pytest.raises(ValueError, match="at most 10 pieces.*Received: 700"):
        make_tokenizer(spec, unigram_tokenizer._vocabulary.data)


@pytest.mark.parametrize(("kind", "package"), [(0, "tokenizers"), (1, "sentencepiece")])
def test_a_missing_package_is_named(monkeypatch, kind, package):
    spec = [
        make_byte_pair()[0],
        TokenizerSpec("sentence_piece", "spiece.model", 9, special_tokens={}, **_NONE),
    ][kind]
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("byte_pair", "sentence_piece", "tokenizer_json"):
        monkeypatch.delitem(sys.modules, f"lmzoo.runtime.tokenization.{name}", raising=False)
    with pytest.raises(ImportError, match=f"needs {package}.*Received: no such package"):
        make_tokenizer(spec, b"")


@pytest.mark.parametrize(
    ("allow_special", "error", "message"),
    [("<end>", TypeError, "'<end>'"), (["x"], ValueError, "Received: 'x'")],
)
def test_wrong_special_tokens_are_refused(allow_special, error, message):
    with pytest.raises(error, match=message):
        open_changed(*make_byte_pair()).tokenize("a", allow_special)
