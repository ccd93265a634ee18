import json

import pytest
from tokenizers import Tokenizer, processors

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.files.post_processors import make_end_template
from tests.tokenizers.files.editing import (
    SMALL_FILES,
    assert_second_save_is_the_same,
    edit,
    remove,
    set_value,
)
from tests.tokenizers.laws import assert_refused


@pytest.fixture(scope="module")
def learned():
    texts = ["a cat, a hat, a cat and another hat that is not a cat's " * 5]
    return BytePairTokenizer.train(iter(texts), 290, ["<|endoftext|>", "<pad>"])


@pytest.fixture
def folder(learned, tmp_path):
    learned.save(tmp_path)
    return tmp_path


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
    remove(folder, *SMALL_FILES)
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
    names = sorted([*SMALL_FILES, "merges.txt", "tokenizer.json", "vocab.json"])
    assert_second_save_is_the_same(BytePairTokenizer, folder, tmp_path_factory, names)


def test_roles_come_back(tmp_path):
    learned = BytePairTokenizer.train(iter(["a b"]), 270, ["<s>", "</s>", "<pad>", "<mask>"])
    parts = learned._vocabulary
    roles = {"end_token": "</s>", "start_token": "<s>", "pad_token": "<pad>"}
    first = BytePairTokenizer(
        parts.ids,
        parts.merges,
        parts.special_tokens,
        mask_token="<mask>",
        lstrip=["<mask>"],
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
    again = BytePairTokenizer.load(folder)
    # transformers takes a token without a role for a non-special one.
    assert again.added_tokens == ("<new>",) and "<new>" not in again.special_tokens
    edit(folder / "tokenizer_config.json", lambda c: c.update(additional_special_tokens=["<new>"]))
    again = BytePairTokenizer.load(folder)
    assert again.added_tokens == () and "<new>" in again.special_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("model", "type", "Unigram"), "`model.type`.* Received: 'Unigram'"),
        (set_value("model", None), "`model`.* Received: None"),
        (set_value("model", "dropout", 0.1), "`model.dropout`.* Received: 0.1"),
        (set_value("model", "ignore_merges", 1.5), "`model.ignore_merges`.* Received: 1.5"),
        (set_value("model", "end_of_word_suffix", "</w>"), "Received: '</w>'"),
        (set_value("model", "vocab", []), r"`model.vocab`.* Received: \[\]"),
        (set_value("model", "merges", "x y"), "`model.merges`.* Received: 'x y'"),
        (set_value("model", "vocab", "a", 70), "each id from 0 .* with id 70"),
        (set_value("model", "merges", [["a", "zzz"]]), "but 'zzz' is not one"),
        (set_value("normalizer", {"type": "NFD"}), "`normalizer`.* Received: {'type': 'NFD'}"),
        (set_value("pre_tokenizer", None), "`pre_tokenizer`.* Received: None"),
        (set_value("pre_tokenizer", {"type": "Split", "pattern": "(a+)+$"}), "Received: 'Split'"),
        (set_value("pre_tokenizer", "add_prefix_space", 1.5), "add_prefix_space`.* Received: 1.5"),
        (set_value("pre_tokenizer", "use_regex", False), "use_regex`.* Received: False"),
        (set_value("added_tokens", [7]), "`added_tokens`.* Received: 7"),
        (set_value("added_tokens", True), "`added_tokens`.* Received: True"),
        (set_value("added_tokens", 0, "special", None), "endoftext.* Received: None"),
        (set_value("added_tokens", 0, "rstrip", 5), "`added_tokens.rstrip`.* Received: 5"),
        (set_value("added_tokens", 0, "single_word", True), "single_word of .*`.* Received: True"),
        (set_value("added_tokens", 0, "id", 5), "`added_tokens.id of '<.*>'`.* Received: 5"),
        (
            set_value("post_processor", make_end_template("<|endoftext|>", 0)),
            "nothing behind a text as `post_processor.single`.* Received: .*endoftext",
        ),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", change)
    assert_refused(BytePairTokenizer, folder, message)


def test_a_config_that_does_not_fit_is_refused(folder):
    edit(folder / "tokenizer_config.json", set_value("add_prefix_space", "yes"))
    with pytest.raises(ValueError, match="as `add_prefix_space`.* Received: 'yes'"):
        BytePairTokenizer.load(folder)
    edit(folder / "tokenizer_config.json", set_value("add_prefix_space", False))
    edit(folder / "tokenizer_config.json", set_value("pad_token", "[PAD]"))
    with pytest.raises(ValueError, match=r"must name tokens of the .* Received: '\[PAD\]'"):
        BytePairTokenizer.load(folder)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("additional_special_tokens", 1.5, "`additional_special_tokens`. Received: 1.5"),
        ("added_tokens_decoder", {"x": {"content": "a"}}, "by their ids.* Received: {'x': "),
        ("added_tokens_decoder", {"9" * 5000: {"content": "a"}}, "by their ids.* Received: {'99"),
        ("added_tokens_decoder", {"5": "a"}, "as objects by their ids.* Received: {'5': 'a'}"),
    ],
)
def test_a_broken_config_is_refused(folder, name, value, message):
    edit(folder / "tokenizer_config.json", set_value(name, value))
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.load(folder)


@pytest.mark.parametrize("gone", [[], ["tokenizer.json"]])
def test_a_broken_file_of_added_tokens_is_refused(folder, gone):
    remove(folder, *gone)
    (folder / "added_tokens.json").write_text('{"<s>": [5]}')
    with pytest.raises(ValueError, match=r"added_tokens.json .*id of '<s>'`.* Received: \[5\]"):
        BytePairTokenizer.load(folder)


ENCODER = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


@pytest.fixture(scope="module")
def encoder():
    learned = BytePairTokenizer.train(iter(["a cat, a hat, that cat " * 9]), 280, ENCODER)
    parts = learned._vocabulary
    roles = {"start_token": "<s>", "end_token": "</s>", "pad_token": "<pad>"}
    roles |= {"mask_token": "<mask>", "lstrip": ["<mask>"]}
    return BytePairTokenizer(parts.ids, parts.merges, ENCODER, **roles, add_bos_and_eos=True)


def describe_encoder(tokenizer):
    names = ("start_token", "end_token", "pad_token", "mask_token", "add_bos_and_eos", "_lstrip")
    return [getattr(tokenizer, name) for name in names], set(tokenizer.special_tokens)


def test_an_encoders_text_stands_between_two_tokens_in_what_is_saved(encoder, tmp_path):
    encoder.save(tmp_path / "first")
    reference = Tokenizer.from_file(str(tmp_path / "first" / "tokenizer.json"))
    a, b = encoder.tokenize(["a cat's hat", " b"]).to_list()
    assert reference.encode("a cat's hat").ids == [0, *a, 2]
    assert reference.encode("a cat's hat", " b").ids == [0, *a, 2, 2, *b, 2]
    config = json.loads((tmp_path / "first" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "RobertaTokenizer"
    roles = ("bos", "cls", "eos", "sep", "pad", "unk", "mask")
    named = [config[f"{role}_token"] for role in roles]
    assert named == ["<s>", "<s>", "</s>", "</s>", "<pad>", "<unk>", "<mask>"]
    again = BytePairTokenizer.load(tmp_path / "first")
    assert describe_encoder(again) == describe_encoder(encoder)
    again.save(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("small", [{"model_max_length": 512}, None])
@pytest.mark.parametrize("kind", ["processing", "template", "class", "model type"])
def test_roberta_opens_as_it_is_published(encoder, tmp_path, small, kind):
    """`roberta-base` names none of its special tokens outside of tokenizer.json."""
    encoder.save(tmp_path)
    remove(tmp_path, *SMALL_FILES)
    config = dict(small or {})
    if kind == "class":
        config["tokenizer_class"] = "RobertaTokenizer"
    if config:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if kind in ("class", "model type"):
        remove(tmp_path, "tokenizer.json")
        (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    else:
        reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        template = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> </s> $B </s>",
            special_tokens=[("<s>", 0), ("</s>", 2)],
        )
        roberta = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        reference.post_processor = roberta if kind == "processing" else template
        reference.save(str(tmp_path / "tokenizer.json"))
    assert describe_encoder(BytePairTokenizer.load(tmp_path)) == describe_encoder(encoder)


def test_transformers_gives_an_encoders_ids(encoder, tmp_path, nasty_texts):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    encoder.save(tmp_path)
    for gone in ([], ["tokenizer.json"]):
        remove(tmp_path, *gone)
        reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
        assert len(reference) == encoder.vocabulary_size
        assert reference.mask_token_id == 4 and reference.cls_token_id == 0
        ids = encoder.tokenize(nasty_texts, allow_special=True).to_list()
        assert reference(nasty_texts).input_ids == [[0, *row, 2] for row in ids]


def test_only_a_tokenizer_with_both_tokens_adds_both(learned):
    parts = learned._vocabulary
    with pytest.raises(
        ValueError, match="`start_token` and `end_token`. Received: add_bos_and_eos=True"
    ):
        BytePairTokenizer(parts.ids, parts.merges, parts.special_tokens, None, add_bos_and_eos=True)
    with pytest.raises(TypeError, match="`add_bos_and_eos` must be True or False. Received: 'yes'"):
        BytePairTokenizer(parts.ids, parts.merges, parts.special_tokens, add_bos_and_eos="yes")


def test_missing_files_are_named(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(FileNotFoundError, match=f"tokenizer.json, or .* Received: '{empty}'"):
        BytePairTokenizer.load(empty)
    remove(folder, "tokenizer.json", "merges.txt")
    with pytest.raises(FileNotFoundError, match=f"merges.txt. Received: '{folder}'"):
        BytePairTokenizer.load(folder)


def test_vocabularies_whose_texts_are_to_end_are_refused(folder):
    edit(folder / "tokenizer_config.json", set_value("add_eos_token", True))
    remove(folder, "tokenizer.json")
    with pytest.raises(ValueError, match="False as `add_eos_token`.* Received: True"):
        BytePairTokenizer.load(folder)


@pytest.mark.parametrize("files", ["both", "template", "vocab.json"])
@pytest.mark.parametrize("name", ["GPT2Tokenizer", "PreTrainedTokenizerFast"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_bos_token": True},
        {"add_bos_token": False},
        {"add_bos_token": True, "add_eos_token": True},
    ],
)
def test_what_a_prompt_begins_with_is_said_as_in_transformers(
    learned, tmp_path, files, name, options
):
    """A tokenizer.json says it alone; vocab.json leaves it to the small file."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if files == "vocab.json" and (name != "GPT2Tokenizer" or "add_eos_token" in options):
        pytest.skip("not opened from vocab.json")
    parts = learned._vocabulary
    special = [*parts.special_tokens, "<s>"]
    ids = {**parts.ids, "<s>": len(parts.ids)}
    starts = {"start_token": "<s>", "add_start_token": files == "template"}
    BytePairTokenizer(ids, parts.merges, special, **starts).save(tmp_path)
    if files == "vocab.json":
        remove(tmp_path, "tokenizer.json")
        merges = "".join(f"{left} {right}\n" for left, right in parts.merges)
        (tmp_path / "merges.txt").write_text(merges, encoding="utf-8")
        (tmp_path / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    edit(
        tmp_path / "tokenizer_config.json", lambda c: c.update(options | {"tokenizer_class": name})
    )
    texts = ["a cat", " x", "the"]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)(texts).input_ids
    ours = BytePairTokenizer.load(tmp_path)
    assert ours.tokenize_prompts(texts).to_list() == theirs
    assert ours.add_start_token == (theirs[0][0] == ids["<s>"])
