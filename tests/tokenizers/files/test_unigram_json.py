import json

import pytest
from tokenizers import Tokenizer

from lmzoo.runtime.sentence_piece_file.model import SentencePieceModel
from lmzoo.tokenizers import SentencePieceTokenizer
from tests.tokenizers.files.editing import edit, set_value

TEXTS = ["A cat's hat, 我 Ünïcödé", "½ ① \u00a0 x  y", "", "x <extra_id_3> y</s>"]
SPACES = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}


@pytest.fixture
def folder(unigram_tokenizer, tmp_path):
    """One with nothing but `tokenizer.json`."""
    unigram_tokenizer.save(tmp_path)
    for path in tmp_path.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    return tmp_path


def test_the_reference_reads_it(unigram_tokenizer, folder):
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ours = unigram_tokenizer.tokenize(TEXTS, allow_special=True).to_list()
    assert [item.ids for item in reference.encode_batch(TEXTS)] == [[*ids, 1] for ids in ours]
    assert reference.encode(*TEXTS[:2]).ids == [*ours[0], 1, *ours[1], 1]
    assert reference.get_vocab_size() == 800
    # Without the unknown token, which the reference leaves out.
    known = [[index for index in ids if index != 2] for ids in ours]
    decoded = [text.decode() for text in unigram_tokenizer.detokenize(known).numpy()]
    assert reference.decode_batch(known) == decoded


def test_it_opens_without_the_model_file(unigram_tokenizer, folder, nasty_texts, tmp_path_factory):
    again = SentencePieceTokenizer.load(folder)
    for name in ("ids", "special_tokens", "sentinel_ids"):
        assert getattr(again._vocabulary, name) == getattr(unigram_tokenizer._vocabulary, name)
    assert (
        again.tokenize(nasty_texts).to_list() == unigram_tokenizer.tokenize(nasty_texts).to_list()
    )
    both = tmp_path_factory.mktemp("both")
    again.save(both)
    assert (both / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "splitter",
    [SPACES, {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}],
)
def test_older_forms_open_where_the_class_splits_text(unigram_tokenizer, folder, splitter):
    edit(folder / "tokenizer.json", lambda content: content.update(pre_tokenizer=splitter))
    with pytest.raises(ValueError, match=r"`pre_tokenizer`.* Received: \['Metaspace'\]"):
        SentencePieceTokenizer.load(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5TokenizerFast"}')
    again = SentencePieceTokenizer.load(folder)
    assert again.tokenize(TEXTS).to_list() == unigram_tokenizer.tokenize(TEXTS).to_list()


@pytest.mark.parametrize(
    "options",
    [
        {"byte_fallback": True},
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": False},
        {"user_defined_symbols": ["<sep>"]},
        {"normalization_rule_name": "identity"},
        {"model_type": "bpe"},
    ],
)
def test_what_it_cannot_say_is_not_written(train_model, tmp_path, options):
    model_type = options.pop("model_type", "unigram")
    SentencePieceTokenizer(train_model(model_type, vocab_size=500, **options)).save(tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()


def test_no_end_token_stands_in_the_template(unigram_model, tmp_path):
    SentencePieceTokenizer(unigram_model, end_token=None).save(tmp_path)
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert 1 not in reference.encode("a b").ids


def _set_metaspace(name, value):
    parts = [{"type": "WhitespaceSplit"}, {**SPACES, name: value}]
    return set_value("pre_tokenizer", {"type": "Sequence", "pretokenizers": parts})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("model", None), "`model`.* Received: None"),
        (
            set_value("model", "type", "BPE"),
            "`model.byte_fallback`, the SentencePiece of T5, Llama or XLM-RoBERTa. Received: F",
        ),
        (set_value("model", "byte_fallback", True), "`model.byte_fallback`.* Received: True"),
        (set_value("model", "vocab", {}), "`model.vocab`.* Received: {}"),
        (set_value("model", "vocab", []), r"`model.vocab`.* Received: \[\]"),
        (set_value("model", "vocab", 5, ["a"]), r"scores as `model.vocab`.* Received: \['a'\]"),
        (set_value("model", "vocab", 5, ["a", "b"]), r"scores as `model.vocab`.*: \['a', 'b'\]"),
        (
            set_value("model", "vocab", 5, ["a", 1e99]),
            "score that is not from -1e9 to 1e9: 1e\\+99",
        ),
        (set_value("model", "vocab", 5, ["twice", 0]), "pieces 5 and 6 are the same: 'twice'"),
        (set_value("model", "vocab", 5, ["\ud800", 0]), "surrogates stand in pairs.*ud800"),
        (set_value("model", "vocab", 799, ["<x>", 0]), "sentinels at the end as `model.vocab`"),
        (set_value("model", "unk_id", None), "`model.unk_id`.* Received: None"),
        (set_value("model", "unk_id", 700), "`model.unk_id`.* Received: 700"),
        (set_value("normalizer", 5), "`normalizer`.* Received: 5"),
        (set_value("normalizer", {"type": "NFKC"}), "`normalizer.type`.* Received: 'NFKC'"),
        (set_value("normalizer", "precompiled_charsmap", "?"), "base64 as .* Received: '\\?'"),
        (set_value("normalizer", "precompiled_charsmap", 5), "base64 as .* Received: 5"),
        (set_value("normalizer", "precompiled_charsmap", "YWJj"), "an array of 6513249 bytes"),
        (set_value("pre_tokenizer", None), "`pre_tokenizer`.* Received: None"),
        (
            set_value("pre_tokenizer", {"type": "BertPreTokenizer"}),
            "Received: \\['BertPreTokenizer'\\]",
        ),
        (set_value("pre_tokenizer", "pretokenizers", 5), "`pre_tokenizer.pretokenizers`.*: 5"),
        (_set_metaspace("replacement", "_"), "replacement`.* Received: '_'"),
        (_set_metaspace("prepend_scheme", "first"), "Received: 'first'"),
        (_set_metaspace("add_prefix_space", False), "Received: False"),
        (set_value("added_tokens", 5), "`added_tokens`.* Received: 5"),
        (set_value("added_tokens", 0, "special", "x"), "pad.* Received: 'x'"),
        (set_value("added_tokens", 0, "normalized", True), "normalized of '<pad>'.* True"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", set_value("model", "vocab", 6, ["twice", -1]))
    edit(folder / "tokenizer.json", change)
    with pytest.raises(ValueError, match=message) as caught:
        SentencePieceTokenizer.load(folder)
    assert str(folder) in str(caught.value)


def test_added_tokens_stand_behind_the_sentinels(folder):
    tokens = [{"id": 800, "content": "<new>", "special": True}]
    tokens += [{"id": 801, "content": "covid", "special": False, "normalized": True}]
    edit(folder / "tokenizer.json", lambda content: content["added_tokens"].extend(tokens))
    tokenizer = SentencePieceTokenizer.load(folder)
    assert [tokenizer.token_to_id(token) for token in ("<new>", "covid")] == [800, 801]
    assert tokenizer.vocabulary_size == 802 and "<new>" in tokenizer.special_tokens
    assert tokenizer.added_tokens == ("covid",)


def test_sentinels_amid_the_pieces_are_refused(folder):
    def swap(content):
        vocabulary, added = content["model"]["vocab"], content["added_tokens"]
        vocabulary[699], vocabulary[700] = vocabulary[700], vocabulary[699]
        next(token for token in added if token["id"] == 700)["id"] = 699

    edit(folder / "tokenizer.json", swap)
    with pytest.raises(ValueError, match="sentinels at the end as `model.vocab`.*<extra_id_0>"):
        SentencePieceTokenizer.load(folder)


# The library that reads tokenizer.json takes U+2581 in a text for a space already put there, and
# makes the padding token from text.
DIVERGING = ("\u2581", "<pad>")


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_t5_without_a_normalizer_gives_the_reference_ids(
    train_model, tmp_path, nasty_texts, draw_texts, count
):
    """As transformers 5 writes it: all white space is split off, not U+0020 alone."""
    data = train_model("unigram", normalization_rule_name="identity")
    model = SentencePieceModel.parse(data)
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pairs = [*zip(model.pieces, model.scores, strict=True)]
    pairs += [(f"<extra_id_{index}>", 0.0) for index in range(99, -1, -1)]
    transformers.T5Tokenizer(vocab=pairs).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["normalizer"] is None
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    reference.encode_special_tokens = True
    texts = [*nasty_texts, *draw_texts(41, count)]
    texts = [text for text in texts if not any(mark in text for mark in DIVERGING)]
    theirs = [item.ids for item in reference.encode_batch(texts, add_special_tokens=False)]
    tokenizer = SentencePieceTokenizer.load(tmp_path)
    ours = tokenizer.tokenize(texts).to_list()
    different = [pair for pair in zip(ours, theirs, texts, strict=True) if pair[0] != pair[1]]
    # Equal but for ties, in which the pieces are the same in another order.
    for mine, other, text in different:
        assert sorted(mine) == sorted(other), text
    assert len(different) < 0.003 * len(texts)
    tokenizer.save(tmp_path / "again")
    again = SentencePieceTokenizer.load(tmp_path / "again")
    assert again.tokenize(texts[:200]).to_list() == ours[:200]
