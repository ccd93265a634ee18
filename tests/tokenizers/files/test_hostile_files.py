"""Hostile files of byte-pair and WordPiece tokenizers are refused soon, in words."""

import json
import time

import pytest

from lmzoo.tokenizers import BytePairTokenizer, WordPieceTokenizer
from tests.tokenizers.files.editing import edit, remove, set_value

LONG = "a" * 300_000
KINDS = {"BPE": BytePairTokenizer, "WordPiece": WordPieceTokenizer}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a small tokenizer of each kind, by name."""
    folder = tmp_path_factory.mktemp("saved")
    BytePairTokenizer.train(iter(["a cat, a hat"]), 270).save(folder / "BPE")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    WordPieceTokenizer([*special, "a"]).save(folder / "WordPiece")
    return {
        kind: {path.name: path.read_bytes() for path in (folder / kind).iterdir()} for kind in KINDS
    }


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def folder(kind, saved, tmp_path):
    for name, data in saved[kind].items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def add_token(content, **options):
    token = {"content": content, "special": True, "normalized": False, **options}

    def change(content):
        content["added_tokens"].append({"id": len(content["model"]["vocab"]), **token})

    return change


def assert_refused(kind, folder, message):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message) as caught:
        KINDS[kind].load(folder)
    assert time.perf_counter() - start < 5
    assert str(folder) in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("model", "vocab", LONG, 6), "tokens of at most 4096 characters"),
        (set_value("model", "vocab", "a", "5"), "an int as `model.vocab of 'a'`.* Received: '5'"),
        (set_value("model", "vocab", "a", 5.0), "an int as `model.vocab of 'a'`.* Received: 5.0"),
        (set_value("model", "vocab", "a", True), "an int as `model.vocab of 'a'`.* Received: True"),
        (set_value("model", "vocab", "a", 10**12), "each id from 0"),
        (set_value("model", "BPE"), "an object as `model`.* Received: 'BPE'"),
        (set_value("model", "WordPiece"), "an object as `model`.* Received: 'WordPiece'"),
        (set_value("model", "type", ["BPE"]), "`model.type`.* Received: \\['BPE'\\]"),
        (set_value("normalizer", {"type": ["NFC"]}), "`normalizer.*\\['NFC'\\]"),
        (set_value("pre_tokenizer", {"type": {}}), "`pre_tokenizer.type`.* Received: {}"),
        (add_token(LONG), "at most 4096 characters each. Received: 'aaa.* with 300000"),
        (add_token(LONG, special=False), "at most 4096 characters each. .* with 300000"),
        (add_token("x", special="yes"), "`added_tokens.special of 'x'`.* Received: 'yes'"),
        (add_token("x", normalized="yes"), "`added_tokens.normalized`.* Received: 'yes'"),
        (add_token("xy", id=10**18), "each id from 0"),
        (add_token("xy", id=-1), "each id from 0"),
        (add_token("\0"), "without U.0000"),
        (add_token(["x"]), "objects with a `content` as `added_tokens`"),
    ],
)
def test_a_hostile_tokenizer_json_is_refused_soon(kind, folder, change, message):
    edit(folder / "tokenizer.json", change)
    assert_refused(kind, folder, message)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"9" * 5000: {"content": "x"}}, "objects by their ids as `added_tokens_decoder`"),
        ({"\u00b2": {"content": "x", "special": True}}, "objects by their ids"),
        ({"5": {"content": ["x"], "special": True}}, "objects with a `content`"),
        ({"5": "x"}, "as objects by their ids"),
    ],
)
def test_a_hostile_list_of_added_tokens_is_refused_soon(kind, folder, decoder, message):
    edit(folder / "tokenizer_config.json", set_value("added_tokens_decoder", decoder))
    assert_refused(kind, folder, message)


def test_a_hostile_vocabulary_alone_is_refused_soon(kind, folder):
    remove(folder, "tokenizer.json")
    if kind == "BPE":
        (folder / "vocab.json").write_text(json.dumps({LONG: 0}))
    else:
        (folder / "vocab.txt").write_text(f"[UNK]\n{LONG}\n")
    assert_refused(kind, folder, "tokens of at most 4096 characters")


@pytest.mark.parametrize("merge", [f"{LONG} {LONG}", [LONG, LONG], {"a": 1}, [["a"], "b"]])
def test_hostile_merges_are_refused_soon(saved, tmp_path, merge):
    for name, data in saved["BPE"].items():
        (tmp_path / name).write_bytes(data)
    edit(tmp_path / "tokenizer.json", lambda content: content["model"]["merges"].append(merge))
    assert_refused("BPE", tmp_path, "`merges` must")


@pytest.mark.parametrize("unknown", [["a"], {"a": 1}, 5])
def test_an_unknown_token_that_is_not_text_is_refused(saved, tmp_path, unknown):
    for name, data in saved["BPE"].items():
        (tmp_path / name).write_bytes(data)
    edit(tmp_path / "tokenizer.json", set_value("model", "unk_token", unknown))
    assert_refused("BPE", tmp_path, "a token or null as `model.unk_token`")


def test_a_refusal_names_the_way_out(kind, folder):
    edit(folder / "tokenizer.json", set_value("model", "type", "Other"))
    assert_refused(kind, folder, "a folder without tokenizer files opens as a model alone")
