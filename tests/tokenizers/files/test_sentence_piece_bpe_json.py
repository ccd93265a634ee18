"""Llama 2's and Mistral's tokenizers: the library's ids, and the files both ways."""

import json

import pytest
import sentencepiece
import tensorflow as tf
from tokenizers import Tokenizer

from lmzoo.tokenizers import SentencePieceTokenizer
from tests.tokenizers.files.editing import edit, set_value

ROLES = {"start_token": "<s>", "end_token": "</s>", "pad_token": None}
FILES = ["special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"]
TEXTS = ["a  b \n\n\tc", " x", "", " ", "def main(self):\n    return 1234", "\u2581a \x01\u0378"]


@pytest.fixture(scope="module")
def model(train_model):
    options = {"normalization_rule_name": "identity", "split_digits": True}
    options |= {"remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True}
    roles = {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2}
    return train_model("bpe", byte_fallback=True, **options, **roles)


@pytest.fixture(scope="module")
def tokenizer(model):
    return SentencePieceTokenizer(model, 0, add_start_token=True, **ROLES)


@pytest.fixture
def folder(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    return tmp_path


def describe(tokenizer):
    names = ("start_token_id", "end_token_id", "pad_token_id", "add_start_token", "special_tokens")
    return [getattr(tokenizer, name) for name in names]


def test_ids_are_those_of_the_library(tokenizer, model, nasty_texts, draw_texts, library_text):
    library = sentencepiece.SentencePieceProcessor(model_proto=model)
    texts = [*TEXTS, *nasty_texts, *draw_texts(31, 500), library_text[60_000:90_000]]
    # The library ends a text at a NUL, the op does not.
    texts = [text for text in texts if "\0" not in text]
    assert tokenizer.tokenize(texts).to_list() == [library.encode(text) for text in texts]


def test_text_comes_back_exactly(tokenizer, nasty_texts):
    texts = [text for text in [*TEXTS, *nasty_texts] if "\u2581" not in text]
    decoded = tokenizer.detokenize(tokenizer.tokenize(texts)).numpy()
    assert [text.decode() for text in decoded] == texts


def test_what_stands_behind_a_prompt_keeps_its_space(tokenizer):
    ids = tokenizer.tokenize("def main")
    assert tokenizer.detokenize(ids).numpy() == b"def main"
    assert tokenizer.detokenize_continuation(ids).numpy() == b" def main"


def test_roles_of_llama(tokenizer):
    assert describe(tokenizer) == [1, 2, 2, True, ("<unk>", "<s>", "</s>")]
    prompts = tokenizer.tokenize_prompts(["a b", ""]).to_list()
    assert prompts == [[1, *tokenizer.tokenize("a b").numpy()], [1]]


def test_a_second_save_writes_the_same_bytes(folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    SentencePieceTokenizer.load(folder).save(again)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_tokenizers_library_gives_the_same_ids(folder, tokenizer, draw_texts, library_text):
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [*TEXTS, *draw_texts(32, 500), *library_text[60_000:90_000].splitlines()]
    theirs = [encoding.ids for encoding in reference.encode_batch(texts)]
    assert tokenizer.tokenize_prompts(texts).to_list() == theirs


@pytest.mark.parametrize("gone", [["tokenizer.json"], ["tokenizer.model"]])
def test_either_file_is_enough(folder, tokenizer, gone, draw_texts):
    for name in gone:
        (folder / name).unlink()
    loaded = SentencePieceTokenizer.load(folder)
    assert describe(loaded) == describe(tokenizer)
    texts = [*TEXTS, *draw_texts(33, 300)]
    assert loaded.tokenize(texts).to_list() == tokenizer.tokenize(texts).to_list()


def test_the_model_alone_has_llamas_roles(folder, tokenizer):
    for name in FILES:
        if name != "tokenizer.model":
            (folder / name).unlink()
    assert describe(SentencePieceTokenizer.load(folder)) == describe(tokenizer)
    (folder / "tokenizer_config.json").write_text('{"add_bos_token": false}')
    assert not SentencePieceTokenizer.load(folder).add_start_token


def test_tokens_behind_the_pieces_are_taken(folder, tokenizer, tmp_path_factory):
    def add(content):
        content["added_tokens_decoder"]["700"] = {"content": "<pad>", "special": True}
        content["pad_token"] = "<pad>"

    edit(folder / "tokenizer_config.json", add)
    loaded = SentencePieceTokenizer.load(folder)
    assert loaded.pad_token_id == 700 and loaded.vocabulary_size == 701
    assert loaded.tokenize(TEXTS).to_list() == tokenizer.tokenize(TEXTS).to_list()
    again = tmp_path_factory.mktemp("padded")
    loaded.save(again)
    (again / "tokenizer.json").unlink()
    assert describe(SentencePieceTokenizer.load(again)) == describe(loaded)


def _make_newer(content):
    spaces = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}
    content.update(normalizer=None, pre_tokenizer={**spaces, "split": False})


def test_added_words_and_a_token_behind_are_refused(folder, tokenizer):
    path = folder / "added_tokens.json"
    path.write_text(json.dumps({"<pad>": 700, "covid": 701}))
    with pytest.raises(ValueError, match="added_tokens.json .*own ids.*: {'700': '<pad>'}"):
        SentencePieceTokenizer.load(folder)
    edit(folder / "tokenizer_config.json", lambda content: content.update(pad_token="<pad>"))
    with pytest.raises(ValueError, match="added_tokens.json .*own ids.*: {'701': 'covid'}"):
        SentencePieceTokenizer.load(folder)
    path.write_text(json.dumps({"<pad>": 700}))
    assert SentencePieceTokenizer.load(folder).pad_token_id == 700
    edit(folder / "tokenizer_config.json", lambda content: content.update(add_eos_token=True))
    with pytest.raises(ValueError, match="False as `add_eos_token`.* Received: True"):
        SentencePieceTokenizer.load(folder)


def test_a_newer_tokenizer_json_is_read_but_for_a_space_at_the_start(folder, tokenizer):
    (folder / "tokenizer.model").unlink()
    edit(folder / "tokenizer.json", _make_newer)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    loaded = SentencePieceTokenizer.load(folder)
    texts = [text for text in TEXTS if text[:1] not in (" ", "\u2581")]
    theirs = [encoding.ids for encoding in reference.encode_batch(texts)]
    assert loaded.tokenize_prompts(texts).to_list() == theirs
    # The divergence: the library, and Llama's own code, put a space before this one, too.
    assert loaded.tokenize(" x").numpy().tolist() == tokenizer.tokenize(" x").numpy().tolist()
    assert len(reference.encode(" x").tokens) == 3 and len(loaded.tokenize(" x")) == 2


def test_it_is_kept_in_a_graph(tokenizer, tmp_path):
    module = tf.Module()
    module.tokenizer = tokenizer
    signature = [tf.TensorSpec([None], tf.string)]
    module.encode = tf.function(tokenizer.tokenize_prompts, input_signature=signature)
    tf.saved_model.save(module, str(tmp_path))
    ids = tf.saved_model.load(str(tmp_path)).encode(tf.constant(TEXTS))
    assert ids.to_list() == tokenizer.tokenize_prompts(TEXTS).to_list()


def _set_spaces(name, value):
    def change(content):
        _make_newer(content)
        content["pre_tokenizer"][name] = value

    return change


def _move_pair(content):
    merges = content["model"]["merges"]
    made = ["".join(pair) for pair in merges]
    first = next(place for place in range(len(made)) if made[place] == made[place + 1])
    merges.append(merges.pop(first))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("model", None), "`model`.* Received: None"),
        (set_value("model", "byte_fallback", False), "`model.byte_fallback`.* Received: False"),
        (set_value("model", "dropout", 0.1), "`model.dropout`.* Received: 0.1"),
        (set_value("model", "vocab", []), r"`model.vocab`.* Received: \[\]"),
        (set_value("model", "vocab", "a", 7000), "the ids from 0 .* Received: 700"),
        (set_value("model", "vocab", {"<unk>": 0, "<s>": 1, "</s>": 2}), "256 bytes .*: '<0x00>'"),
        (
            set_value("model", "vocab", "\0", 700),
            "must describe a SentencePiece model.* piece 700 is",
        ),
        (set_value("model", "unk_token", "a"), "`model.unk_token`.* Received: 'a'"),
        (set_value("model", "unk_token", [5]), r"`model.unk_token`.* Received: \[5\]"),
        (set_value("model", "merges", 0, 1.5), "`model.merges`.* Received: 1.5"),
        (set_value("model", "merges", "a b"), "`model.merges`.* Received: 'a b'"),
        (set_value("model", "merges", 0, "a b c"), "`model.merges`.* Received: 'a b c'"),
        (set_value("model", "merges", []), "all pairs that make a token.* Received: .no ."),
        (_move_pair, "all pairs that make a token in one place .* Received: "),
        (set_value("added_tokens", 7), "`added_tokens`.* Received: 7"),
        (set_value("normalizer", None), "`pre_tokenizer`.* Received: None"),
        (set_value("pre_tokenizer", {"type": "ByteLevel"}), "`pre_tokenizer`.* 'ByteLevel'"),
        (_set_spaces("type", "Split"), "`pre_tokenizer.type`.* Received: 'Split'"),
        (_set_spaces("split", True), "`pre_tokenizer.split`.* Received: True"),
        (_set_spaces("replacement", "_"), "`pre_tokenizer.replacement`.* Received: '_'"),
        (_set_spaces("prepend_scheme", "never"), "prepend_scheme`.* Received: 'never'"),
        (set_value("normalizer", {"type": "NFC"}), "`normalizer.normalizers`.* Received: None"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", change)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer.load(folder)
