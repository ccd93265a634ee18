"""Llama 2's and Mistral's tokenizers: the library's ids, and the files both ways."""

import json
import re

import pytest
import sentencepiece
from tokenizers import Tokenizer

from lmzoo.tokenizers import SentencePieceTokenizer
from lmzoo.tokenizers.files.post_processors import make_end_template
from tests.tokenizers.files.editing import edit, set_value
from tests.tokenizers.laws import assert_saved_says_the_same

ROLES = {"start_token": "<s>", "end_token": "</s>", "pad_token": None}
FILES = ["special_tokens_map.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"]
WHITE_SPACE = "[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
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


def test_what_would_end_a_prompt_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    edit(folder / "tokenizer_config.json", lambda content: content.update(add_eos_token=True))
    with pytest.raises(ValueError, match="False as `add_eos_token`.* Received: True"):
        SentencePieceTokenizer.load(folder)


@pytest.mark.quick("first")
@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_a_newer_tokenizer_json_gives_the_reference_ids(
    folder, nasty_texts, draw_texts, library_text, scheme
):
    (folder / "tokenizer.model").unlink()
    edit(folder / "tokenizer.json", _make_newer)
    edit(folder / "tokenizer.json", set_value("pre_tokenizer", "prepend_scheme", scheme))
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    loaded = SentencePieceTokenizer.load(folder)
    special = ["a<s>b", "</s>", "<s> x", " </s>a </s> ", "<unk>", "a</s>"]
    texts = [*TEXTS, *special, *nasty_texts, *draw_texts(34, 500), library_text[:2000]]
    theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    assert loaded.tokenize(texts, allow_special=True).to_list() == theirs
    names = ["<s>", "</s>", "<unk>"]
    assert loaded.tokenize(texts, allow_special=names).to_list() == theirs
    texts = [text for text in texts if "<" not in text and "\u2581" not in text]
    ids, starts, ends = loaded.tokenize_with_offsets(texts)
    assert ids.to_list() == loaded.tokenize(texts).to_list()
    for text, first, last in zip(texts, starts.to_list(), ends.to_list(), strict=True):
        covered = "".join(text[a:b] for a, b in zip(first, last, strict=True))
        assert covered == re.sub(WHITE_SPACE, "", text)
    decoded = loaded.detokenize(ids).numpy()
    if scheme != "never":
        texts = [text.removeprefix(" ") for text in texts]
    assert [text.decode() for text in decoded] == texts
    again = folder / "again"
    loaded.save(again)
    assert (
        json.loads((again / "tokenizer.json").read_text())["pre_tokenizer"]
        == json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"]
    )
    texts = [*TEXTS, *special]
    once_more = SentencePieceTokenizer.load(again).tokenize(texts, allow_special=True).to_list()
    assert once_more == loaded.tokenize(texts, allow_special=True).to_list()


CONFIGS = [
    {"tokenizer_class": "LlamaTokenizer"},
    {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True},
    {"tokenizer_class": "LlamaTokenizerFast", "legacy": True, "add_bos_token": False},
    {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True},
    {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "add_bos_token": True},
    {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "legacy": True},
    {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": True},
    {"tokenizer_class": "PreTrainedTokenizerFast"},
    {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": True},
    {"tokenizer_class": "PreTrainedTokenizerFast", "legacy": False, "add_bos_token": False},
    {"tokenizer_class": "TokenizersBackend", "add_prefix_space": False, "add_bos_token": True},
]


QUICK = [("model", "llama"), ("never", None)]
CASES = [
    pytest.param(files, model_type, config, id=f"{files}-{model_type}-{number}")
    if (files, model_type) in QUICK and number in (0, 4, 9)
    else pytest.param(
        files, model_type, config, id=f"{files}-{model_type}-{number}", marks=pytest.mark.slow
    )
    for files in ("model", "both", "newer", "never", "json")
    for model_type in (None, "llama", "mistral")
    for number, config in enumerate(CONFIGS)
]


@pytest.mark.parametrize(("files", "model_type", "config"), CASES)
def test_the_class_and_its_options_decide_as_in_transformers(
    folder, files, model_type, config, tmp_path_factory
):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if files in ("newer", "never"):
        edit(folder / "tokenizer.json", _make_newer)
    if files == "never":
        edit(folder / "tokenizer.json", set_value("pre_tokenizer", "prepend_scheme", "never"))
    if model_type:
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    gone = {"model": "tokenizer.json", "json": "tokenizer.model"}.get(files)
    for name in ("special_tokens_map.json", *([gone] if gone else [])):
        (folder / name).unlink()
    texts = ["hello world", " x", "", "  a  ", " ", "a</s>b", " </s> x", "</s>x", "\n", "a <s>"]
    config = {**config, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(texts).input_ids
    loaded = SentencePieceTokenizer.load(folder)
    start = [loaded.start_token_id] if loaded.add_start_token else []
    ours = loaded.tokenize(texts, allow_special=True).to_list()
    # The divergence: a model file of Mistral alone has Mistral's start before a prompt.
    is_bare = files == "model" and model_type == "mistral" and "add_bos_token" not in config
    if is_bare and config["tokenizer_class"] == "LlamaTokenizer":
        theirs = [[1, *row] for row in theirs]
    assert [start + row for row in ours] == theirs
    # Written back, it is what it was: for us and for transformers.
    again = tmp_path_factory.mktemp("again")
    loaded.save(again)
    assert (again / "tokenizer.model").is_file() and not (again / "spiece.model").exists()
    if model_type:
        (again / "config.json").write_text(json.dumps({"model_type": model_type}))
    assert transformers.AutoTokenizer.from_pretrained(again)(texts).input_ids == theirs
    once_more = SentencePieceTokenizer.load(again)
    assert once_more._vocabulary.ids == loaded._vocabulary.ids
    for name in ("prepend_scheme", "add_start_token", "tokenizer_class"):
        assert getattr(once_more, name) == getattr(loaded, name)
    if config["tokenizer_class"].startswith("Llama") and model_type != "mistral":
        assert loaded.tokenizer_class == "LlamaTokenizer"


def test_files_that_contradict_each_other_are_refused(folder, train_model):
    edit(folder / "tokenizer.json", _swap_tokens)
    with pytest.raises(ValueError, match="as the model file, as `model.vocab at id 300`"):
        SentencePieceTokenizer.load(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(train_model("unigram", vocab_size=500))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    with pytest.raises(ValueError, match="must be a BPE model .* a unigram model. Name"):
        SentencePieceTokenizer.load(folder)


@pytest.mark.parametrize("name", ["AlbertTokenizer", "XLNetTokenizerFast"])
def test_a_class_that_is_not_read_is_refused_by_name(folder, name):
    edit(folder / "tokenizer_config.json", set_value("tokenizer_class", name))
    plain = name.removesuffix("Fast")
    with pytest.raises(ValueError, match=f"'LlamaTokenizer' .* Received: {plain!r}"):
        SentencePieceTokenizer.load(folder)


def _swap_tokens(content):
    ids = content["model"]["vocab"]
    first, second = (next(token for token, index in ids.items() if index == i) for i in (300, 301))
    ids[first], ids[second] = 301, 300


def test_it_is_kept_in_a_graph(tokenizer, tmp_path):
    assert_saved_says_the_same(tokenizer, tokenizer.tokenize_prompts, TEXTS, tmp_path)


def _set_spaces(name, value):
    def change(content):
        _make_newer(content)
        content["pre_tokenizer"][name] = value

    return change


def _add_long_tokens(content):
    more = (f"{index:04}" * 1000 for index in range(1100))
    content["model"]["vocab"].update({token: 700 + place for place, token in enumerate(more)})


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
        (set_value("model", "BPE"), "an object as `model`.* Received: 'BPE'"),
        (set_value("model", "vocab", "a", 7000), "the ids from 0 .* Received: 700"),
        (set_value("model", "vocab", "a", "7"), "an int as `model.vocab of 'a'`.* Received: '7'"),
        (set_value("model", "vocab", "a" * 300_000, 700), "at most 4096 characters as .* 'aaa"),
        (_add_long_tokens, "tokens of at most 4194304 characters in all .* Received: "),
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
        (set_value("post_processor", make_end_template("</s>", 2)), "nothing behind a text as"),
        (set_value("normalizer", None), "`pre_tokenizer`.* Received: None"),
        (set_value("pre_tokenizer", {"type": "ByteLevel"}), "`pre_tokenizer`.* 'ByteLevel'"),
        (_set_spaces("type", "Split"), "`pre_tokenizer.type`.* Received: 'Split'"),
        (_set_spaces("split", True), "`pre_tokenizer.split`.* Received: True"),
        (_set_spaces("replacement", "_"), "`pre_tokenizer.replacement`.* Received: '_'"),
        (_set_spaces("prepend_scheme", "last"), "prepend_scheme`.* Received: 'last'"),
        (set_value("normalizer", {"type": "NFC"}), "`normalizer.normalizers`.* Received: None"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", change)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer.load(folder)
