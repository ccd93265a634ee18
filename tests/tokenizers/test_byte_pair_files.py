import json

import pytest
from tokenizers import Tokenizer

from lmzoo.tokenizers import BytePairTokenizer

SMALL = ["tokenizer_config.json", "special_tokens_map.json"]


@pytest.fixture(scope="module")
def learned():
    texts = ["a cat, a hat, a cat and another hat that is not a cat's " * 5]
    return BytePairTokenizer.train(iter(texts), 290, ["<|endoftext|>", "<pad>"])


@pytest.fixture
def folder(learned, tmp_path):
    learned.save(tmp_path)
    return tmp_path


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def assert_same(first, second, texts):
    assert first.tokenize(texts).to_list() == second.tokenize(texts).to_list()
    allowed = [one.tokenize(texts, allow_special=True).to_list() for one in (first, second)]
    assert allowed[0] == allowed[1]
    assert first.end_token_id == second.end_token_id
    assert first.pad_token_id == second.pad_token_id


@pytest.mark.parametrize("gone", [["vocab.json", "merges.txt"], ["tokenizer.json"]])
def test_either_kind_of_files_opens(learned, folder, nasty_texts, gone):
    remove(folder, *gone)
    assert_same(BytePairTokenizer.load(folder), learned, [*nasty_texts, "a cat's hat"])


def test_the_two_small_files_are_not_needed(learned, folder, nasty_texts):
    remove(folder, *SMALL)
    assert_same(BytePairTokenizer.load(folder), learned, nasty_texts)
    remove(folder, "tokenizer.json")
    assert BytePairTokenizer.load(folder).end_token_id == learned.end_token_id


def test_the_reference_reads_ours(learned, folder, nasty_texts):
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert reference.get_vocab_size() == learned.vocabulary_size
    ours = learned.tokenize(nasty_texts, allow_special=True)
    assert ours.to_list() == [item.ids for item in reference.encode_batch(nasty_texts)]
    special = learned.special_tokens
    text = "".join(character for character in nasty_texts[8]) + "".join(special)
    ids = learned.tokenize(text, allow_special=True)
    assert reference.decode(ids.numpy(), skip_special_tokens=False) == text


def test_a_second_save_writes_the_same_bytes(folder, tmp_path_factory):
    again = tmp_path_factory.mktemp("again") / "new"
    BytePairTokenizer.load(folder).save(again)
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([*SMALL, "merges.txt", "tokenizer.json", "vocab.json"])
    assert sorted(path.name for path in again.iterdir()) == names
    for name in names:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_roles_come_back(tmp_path):
    learned = BytePairTokenizer.train(iter(["a b"]), 270, ["<s>", "</s>", "<pad>", "<mask>"])
    parts = learned._vocabulary
    roles = {"end_token": "</s>", "start_token": "<s>", "pad_token": "<pad>"}
    first = BytePairTokenizer(
        parts.ids,
        parts.merges,
        parts.special_tokens,
        mask_token="<mask>",
        strip_left=["<mask>"],
        **roles,
    )
    first.save(tmp_path)
    second = BytePairTokenizer.load(tmp_path)
    ids = ["start_token_id", "end_token_id", "pad_token_id", "mask_token_id"]
    assert [getattr(first, name) for name in ids] == [getattr(second, name) for name in ids]
    assert len({getattr(first, name) for name in ids}) == 4
    assert_same(first, second, ["a <mask> <s>", " <mask><mask>"])


def test_merges_as_strings_and_roles_as_objects_are_read(learned, folder, nasty_texts):
    def join_merges(content):
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]

    def describe(content):
        content["eos_token"] = {"content": content["eos_token"], "lstrip": False}

    edit(folder / "tokenizer.json", join_merges)
    edit(folder / "tokenizer_config.json", describe)
    assert_same(BytePairTokenizer.load(folder), learned, nasty_texts)


def test_tokens_added_behind_the_vocabulary_are_special(learned, folder):
    token = {"id": learned.vocabulary_size, "content": "<new>", "special": True}
    edit(folder / "tokenizer.json", lambda content: content["added_tokens"].append(token))
    assert BytePairTokenizer.load(folder).token_to_id("<new>") == learned.vocabulary_size
    remove(folder, "tokenizer.json")
    (folder / "added_tokens.json").write_text(json.dumps({"<new>": learned.vocabulary_size}))
    assert "<new>" in BytePairTokenizer.load(folder).special_tokens


def _set(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("model", "type", "Unigram"), "`model.type`.* Received: 'Unigram'"),
        (_set("model", None), "`model.type`.* Received: None"),
        (_set("model", "dropout", 0.1), "`model.dropout`.* Received: 0.1"),
        (_set("model", "ignore_merges", 1.5), "`model.ignore_merges`.* Received: 1.5"),
        (_set("model", "end_of_word_suffix", "</w>"), "Received: '</w>'"),
        (_set("model", "vocab", []), r"`model.vocab`.* Received: \[\]"),
        (_set("model", "merges", "x y"), "`model.merges`.* Received: 'x y'"),
        (_set("model", "vocab", "a", 70), "each id from 0 .* with id 70"),
        (_set("model", "merges", [["a", "zzz"]]), "but 'zzz' is not one"),
        (_set("normalizer", {"type": "NFD"}), "`normalizer`.* Received: {'type': 'NFD'}"),
        (_set("pre_tokenizer", None), "`pre_tokenizer`.* Received: None"),
        (_set("pre_tokenizer", {"type": "Split", "pattern": "(a+)+$"}), "Received: 'Split'"),
        (_set("pre_tokenizer", "add_prefix_space", True), "add_prefix_space`.* Received: True"),
        (_set("pre_tokenizer", "use_regex", False), "use_regex`.* Received: False"),
        (_set("added_tokens", [7]), "`added_tokens`.* Received: 7"),
        (_set("added_tokens", 0, "special", None), "endoftext.* Received: None"),
        (_set("added_tokens", 0, "rstrip", True), "`added_tokens.rstrip`.* Received: True"),
        (_set("added_tokens", 0, "single_word", True), "single_word`.* Received: True"),
        (_set("added_tokens", 0, "id", 5), "`added_tokens.id of '<.*>'`.* Received: 5"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", change)
    with pytest.raises(ValueError, match=message) as caught:
        BytePairTokenizer.load(folder)
    assert str(folder) in str(caught.value)


def test_a_config_that_does_not_fit_is_refused(folder):
    edit(folder / "tokenizer_config.json", _set("add_prefix_space", True))
    with pytest.raises(ValueError, match="must not ask for add_prefix_space. Received: True"):
        BytePairTokenizer.load(folder)
    edit(folder / "tokenizer_config.json", _set("add_prefix_space", False))
    edit(folder / "tokenizer_config.json", _set("pad_token", "[PAD]"))
    with pytest.raises(ValueError, match=r"must name tokens of the .* Received: '\[PAD\]'"):
        BytePairTokenizer.load(folder)


def test_missing_files_are_named(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(FileNotFoundError, match=f"tokenizer.json, or .* Received: '{empty}'"):
        BytePairTokenizer.load(empty)
    remove(folder, "tokenizer.json", "merges.txt")
    with pytest.raises(FileNotFoundError, match=f"merges.txt. Received: '{folder}'"):
        BytePairTokenizer.load(folder)
