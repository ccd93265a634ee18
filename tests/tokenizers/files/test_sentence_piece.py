import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from lmzoo.tokenizers import SentencePieceTokenizer
from lmzoo.tokenizers.files.sentence_piece import ROLES
from tests.tokenizers.files.editing import (
    SMALL_FILES,
    assert_second_save_is_the_same,
    edit,
    remove,
    set_value,
)
from tests.tokenizers.laws import assert_refused

TEXTS = ["A cat's hat, <extra_id_0> 我 Ünïcödé</s>", "a<extra_id_99> b", "", "½ ① \u00a0 x  y"]


@pytest.fixture
def folder(unigram_tokenizer, tmp_path):
    unigram_tokenizer.save(tmp_path)
    return tmp_path


def describe(tokenizer):
    """All that makes a tokenizer what it is."""
    return tokenizer._vocabulary, {role: getattr(tokenizer, role) for role in ROLES}


@pytest.mark.parametrize(
    "gone", [[], ["tokenizer.json"], SMALL_FILES, ["tokenizer.json", *SMALL_FILES]]
)
def test_the_model_alone_is_enough(unigram_tokenizer, folder, gone):
    remove(folder, *gone)
    assert describe(SentencePieceTokenizer.load(folder)) == describe(unigram_tokenizer)


def test_a_second_save_writes_the_same_bytes(folder, tmp_path_factory):
    names = sorted([*SMALL_FILES, "tokenizer.json", "spiece.model"])
    assert_second_save_is_the_same(SentencePieceTokenizer, folder, tmp_path_factory, names)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_sentinels": 0},
        {"num_sentinels": 3, "start_token": "</s>"},
        {"end_token": None, "pad_token": None},
        {"special_tokens": ["a", "\u2581"]},
    ],
)
def test_options_and_roles_come_back(unigram_model, tmp_path, arguments):
    first = SentencePieceTokenizer(unigram_model, **arguments)
    first.save(tmp_path)
    assert describe(SentencePieceTokenizer.load(tmp_path)) == describe(first)


@pytest.mark.parametrize(("model_type", "special"), [("unigram", []), ("bpe", ["<sep>"])])
def test_sentinels_of_the_model_come_back(train_model, tmp_path, model_type, special):
    symbols = [*(f"\u2581<extra_id_{index}>" for index in (2, 1, 0)), "<sep>"]
    data = train_model(model_type, user_defined_symbols=symbols)
    first = SentencePieceTokenizer(data, 3, special)
    first.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["spiece.model", *SMALL_FILES]
    )
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    # They are pieces; to add them as they stand in text would number them anew.
    assert "extra_id_" not in json.dumps(config["added_tokens_decoder"])
    assert config["extra_ids"] == 0 and config["additional_special_tokens"] == special
    again = SentencePieceTokenizer.load(tmp_path)
    assert describe(again) == describe(first) and len(again.sentinel_ids) == 3
    # As mT5's own files name them.
    described = {str(5 - n): {"content": f"\u2581<extra_id_{n}>"} for n in range(3)}
    edit(tmp_path / "tokenizer_config.json", lambda c: c.update(added_tokens_decoder=described))
    assert describe(SentencePieceTokenizer.load(tmp_path)) == describe(first)


def test_transformers_gives_the_same_ids(unigram_tokenizer, folder, library_text, tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    without = tmp_path_factory.mktemp("without")
    unigram_tokenizer.save(without)
    remove(without, "tokenizer.json")
    texts = [*TEXTS, *library_text[1_000_000:1_010_000].splitlines()]
    ours = unigram_tokenizer.tokenize(texts, allow_special=True).to_list()
    for place in (folder, without):
        reference = transformers.AutoTokenizer.from_pretrained(place)
        assert type(reference).__name__ == "T5Tokenizer" and len(reference) == 800
        names = ("pad_token_id", "eos_token_id", "unk_token_id", "bos_token_id")
        assert [getattr(reference, name) for name in names] == [0, 1, 2, None]
        sentinels = [f"<extra_id_{index}>" for index in range(100)]
        found = reference.convert_tokens_to_ids(sentinels)
        assert found == unigram_tokenizer.sentinel_ids.tolist()
        theirs = reference(texts, add_special_tokens=False).input_ids
        # Equal but for ties, in which the pieces are the same in another order.
        different = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
        assert all(sorted(mine) == sorted(other) for mine, other in different)
        assert len(different) < 0.02 * len(texts)
        assert reference("a b").input_ids == [*unigram_tokenizer.tokenize("a b").numpy(), 1]


def test_an_encoders_text_stands_between_two_tokens_in_what_is_saved(train_model, tmp_path):
    roles = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3, "control_symbols": ["<mask>"]}
    data = train_model("unigram", **roles)
    roles = {"start_token": "<s>", "mask_token": "<mask>", "add_bos_and_eos": True}
    first = SentencePieceTokenizer(data, 0, **roles)
    first.save(tmp_path / "first")
    reference = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    a, b = first.tokenize(["a cat's hat", "b"]).to_list()
    assert reference.encode("a cat's hat").ids == [0, *a, 2]
    assert reference.encode("a cat's hat", "b").ids == [0, *a, *[2] * first.num_separators, *b, 2]
    config = json.loads((tmp_path / "first" / "tokenizer_config.json").read_text())
    roles = ("bos", "cls", "eos", "sep", "pad", "unk", "mask")
    named = [config[f"{role}_token"] for role in roles]
    assert named == ["<s>", "<s>", "</s>", "</s>", "<pad>", "<unk>", "<mask>"]
    SentencePieceTokenizer.load(tmp_path / "first").save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name
    # As it is published: tokenizer.json alone, and no names.
    for name in ("spiece.model", *SMALL_FILES):
        (tmp_path / "second" / name).unlink()
    again = SentencePieceTokenizer.load(tmp_path / "second")
    assert again.add_bos_and_eos and describe(again)[1] == describe(first)[1]
    assert again.special_tokens == first.special_tokens


@pytest.mark.parametrize("small", [{"model_max_length": 512}, None])
@pytest.mark.parametrize("gone", [[], ["spiece.model"], ["tokenizer.json"]])
def test_t5_opens_as_it_is_published(unigram_tokenizer, folder, small, gone):
    remove(folder, *SMALL_FILES, *gone)
    if small:
        (folder / "tokenizer_config.json").write_text(json.dumps(small))
    again = SentencePieceTokenizer.load(folder)
    assert again._vocabulary.ids == unigram_tokenizer._vocabulary.ids
    assert describe(again)[1] == describe(unigram_tokenizer)[1] and not again.add_bos_and_eos


def test_added_tokens_with_wrong_ids_are_refused(unigram_tokenizer, folder):
    size = unigram_tokenizer.vocabulary_size
    path = folder / "added_tokens.json"
    path.write_text(json.dumps({"covid": size + 1}))
    with pytest.raises(ValueError, match=f"added_tokens.json .*own ids.*: .'{size + 1}': 'covid'"):
        SentencePieceTokenizer.load(folder)
    path.write_text(json.dumps({"covid": 5}))
    with pytest.raises(ValueError, match="added_tokens.json .*own ids.*: {'5': 'covid'}"):
        SentencePieceTokenizer.load(folder)
    path.write_text(json.dumps({"<extra_id_0>": size - 1, "</s>": 1}))
    assert describe(SentencePieceTokenizer.load(folder)) == describe(unigram_tokenizer)
    described = {"800": {"content": "x y", "special": False, "lstrip": 5, "normalized": False}}
    edit(folder / "tokenizer_config.json", lambda c: c["added_tokens_decoder"].update(described))
    with pytest.raises(ValueError, match="True as `added_tokens.lstrip of 'x y'`.* Received: 5"):
        SentencePieceTokenizer.load(folder)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (True, "`added_tokens`.* Received: True"),
        ([{"id": "7", "content": "a"}], "an `id` .* Received: {'id': '7', 'content': 'a'}"),
        ([{"id": 801, "content": "<new>", "special": True}], "own ids .*{'801': '<new>'}"),
        ([{"id": 9, "content": "a", "special": False}], "the tokens' own ids .*{'9': 'a'}"),
    ],
)
def test_the_added_tokens_beside_a_model_are_read(folder, tokens, message):
    edit(folder / "tokenizer.json", set_value("added_tokens", tokens))
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer.load(folder)


def test_a_special_piece_beside_a_model_is_special(unigram_tokenizer, folder):
    token = {"id": unigram_tokenizer.token_to_id("a"), "content": "a", "special": True}
    edit(folder / "tokenizer.json", lambda content: content["added_tokens"].append(token))
    assert "a" in SentencePieceTokenizer.load(folder).special_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("extra_ids", -1), "`num_sentinels` must be .* Received: -1"),
        (set_value("extra_ids", "9"), "`num_sentinels` must be .* Received: '9'"),
        (
            set_value("extra_ids", 10**9),
            "`num_sentinels` must be at most 10000. Received: 1000000000",
        ),
        (set_value("eos_token", "<eos>"), "`end_token` must be among .* Received: '<eos>'"),
        (set_value("unk_token", {"content": "a"}), "`unknown_token` must be '<unk>', .*: 'a'"),
        (
            set_value("additional_special_tokens", "a"),
            "`additional_special_tokens`.* Received: 'a'",
        ),
        (set_value("additional_special_tokens", ["<x>"]), "`special_tokens` must be in .*: '<x>'"),
        (set_value("added_tokens_decoder", [1]), r"`added_tokens_decoder`.* Received: \[1\]"),
        (set_value("added_tokens_decoder", {"3": {"content": "<x>"}}), "own ids as .*'3': '<x>'"),
        (set_value("added_tokens_decoder", {"2": "</s>"}), "objects by their ids.*'2': '</s>'"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder, change, message):
    edit(folder / "tokenizer_config.json", change)
    assert_refused(SentencePieceTokenizer, folder, message)


def test_a_broken_model_is_refused_by_the_name_of_its_folder(folder):
    path = folder / "spiece.model"
    data = path.read_bytes()
    for broken, message in (
        (data[:1000], "cut off"),
        (b"{}", "no protocol buffer"),
        (np.random.default_rng(0).bytes(999), "`model` must be a whole SentencePiece model"),
    ):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=message) as caught:
            SentencePieceTokenizer.load(folder)
        assert str(folder) in str(caught.value)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match="spiece.model must have at most .* with 1073741824"):
        SentencePieceTokenizer.load(folder)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"or tokenizer.json. Received: '{tmp_path}'"):
        SentencePieceTokenizer.load(tmp_path)
