import json

import pytest
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from lmzoo.tokenizers import WordPieceTokenizer
from tests.tokenizers.files.editing import (
    SMALL_FILES,
    assert_second_save_is_the_same,
    edit,
    remove,
    set_value,
)
from tests.tokenizers.laws import assert_refused

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = ["A cat's hat, [MASK] 我 Ünïcödé", "zebra", "a hat\u2028a"]


@pytest.fixture(scope="module")
def learned():
    text = "a cat, a hat, a cat and another hat that is not a cat's " * 5
    return WordPieceTokenizer.train(iter([text]), 80)


@pytest.fixture
def folder(learned, tmp_path):
    learned.save(tmp_path)
    return tmp_path


def describe(tokenizer):
    """All that makes a tokenizer what it is."""
    names = ["lowercase", "strip_accents", "split_chinese", "unknown_token", "start_token"]
    names += ["end_token", "pad_token", "mask_token", "max_word_characters", "prefix"]
    return tokenizer._vocabulary, {name: getattr(tokenizer, name) for name in names}


@pytest.mark.parametrize("gone", [["vocab.txt"], ["tokenizer.json"], SMALL_FILES])
def test_either_kind_of_files_opens(learned, folder, gone):
    remove(folder, *gone)
    assert describe(WordPieceTokenizer.load(folder)) == describe(learned)


def test_a_vocabulary_alone_opens_as_an_uncased_tokenizer(learned, folder):
    remove(folder, "tokenizer.json", *SMALL_FILES)
    assert describe(WordPieceTokenizer.load(folder)) == describe(learned)


def test_the_reference_reads_ours(learned, folder):
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ours = learned.tokenize(TEXTS, allow_special=True).to_list()
    assert reference.get_vocab_size() == learned.vocabulary_size
    start, end = learned.start_token_id, learned.end_token_id
    assert [item.ids for item in reference.encode_batch(TEXTS)] == [
        [start, *ids, end] for ids in ours
    ]
    pair = reference.encode(*TEXTS[:2])
    assert pair.ids == [start, *ours[0], end, *ours[1], end]
    assert pair.type_ids == [0] * (len(ours[0]) + 2) + [1] * (len(ours[1]) + 1)
    slow = BertWordPieceTokenizer(str(folder / "vocab.txt"))
    assert slow.encode(TEXTS[0], add_special_tokens=False).ids == ours[0]


def test_ours_reads_the_reference_files(learned, folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    slow = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=True)
    slow.save(str(other / "tokenizer.json"))
    tokenizer = WordPieceTokenizer.load(other)
    assert (tokenizer.lowercase, tokenizer.strip_accents) == (False, True)
    theirs = slow.encode_batch(TEXTS, add_special_tokens=False)
    assert tokenizer.tokenize(TEXTS, allow_special=True).to_list() == [e.ids for e in theirs]


def test_a_second_save_writes_the_same_bytes(folder, tmp_path_factory):
    names = sorted([*SMALL_FILES, "tokenizer.json", "vocab.txt"])
    assert_second_save_is_the_same(WordPieceTokenizer, folder, tmp_path_factory, names)


@pytest.mark.parametrize("gone", [["vocab.txt"], ["tokenizer.json"]])
def test_options_and_roles_come_back(tmp_path, gone):
    tokens = ["<unk>", "a", "##b", "<s>", "<e>", "<x>"]
    options = {"lowercase": False, "strip_accents": True, "split_chinese": False}
    roles = {"start_token": "<s>", "end_token": "<e>", "pad_token": None, "mask_token": None}
    special = ["<unk>", "<s>", "<e>", "<x>"]
    first = WordPieceTokenizer(
        tokens, **options, special_tokens=special, unknown_token="<unk>", **roles
    )
    first.save(tmp_path)
    remove(tmp_path, *gone)
    assert describe(WordPieceTokenizer.load(tmp_path)) == describe(first)


def test_the_model_part_comes_back(tmp_path):
    first = WordPieceTokenizer([*SPECIAL, "a", "@@b"], max_word_characters=7, prefix="@@")
    first.save(tmp_path)
    assert describe(WordPieceTokenizer.load(tmp_path)) == describe(first)


def test_lines_of_a_published_vocabulary_are_its_ids(tmp_path):
    # As in the published files: special tokens further down, and lines of odd characters.
    odd = ["\u2028", "\u00a0", "\x85", "\x1c", "\u3000", "##\u2029"]
    tokens = ["[PAD]", *(f"[unused{index}]" for index in range(99)), *SPECIAL[1:], *odd, "a"]
    for end in ("\n", "\r\n"):
        text = "".join(token + end for token in tokens)
        (tmp_path / "vocab.txt").write_text(text, encoding="utf-8", newline="")
        (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
        tokenizer = WordPieceTokenizer.load(tmp_path)
        found = [tokenizer.token_to_id(token) for token in SPECIAL]
        assert found == [0, 100, 101, 102, 103]
        assert tokenizer._vocabulary.tokens == tuple(tokens) and not tokenizer.lowercase
        assert tokenizer.special_tokens == tuple(SPECIAL)


def test_the_config_goes_before_tokenizer_json(folder):
    edit(folder / "tokenizer_config.json", lambda content: content.update(do_lower_case=False))
    assert not WordPieceTokenizer.load(folder).lowercase


def test_tokens_added_behind_the_vocabulary_are_special(learned, folder):
    token = {"id": learned.vocabulary_size, "content": "<new>", "special": True}
    edit(folder / "tokenizer.json", lambda content: content["added_tokens"].append(token))
    assert WordPieceTokenizer.load(folder).token_to_id("<new>") == learned.vocabulary_size
    assert "<new>" in WordPieceTokenizer.load(folder).special_tokens


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("model", "type", "BPE"), "`model.type`, the WordPiece of BERT. Received: 'BPE'"),
        (set_value("model", None), "`model`.* Received: None"),
        (set_value("model", "vocab", []), r"`model.vocab`.* Received: \[\]"),
        (set_value("model", "vocab", "a", 70_000), "each id from 0 .* with id 70000"),
        (
            set_value("model", "vocab", {"a": 0}),
            r"each id from 0 .* Received: '\[PAD\]' with id 0 ",
        ),
        (
            set_value("model", "max_input_chars_per_word", 10**12),
            "from 1 to 1000. Received: 10000000",
        ),
        (set_value("model", "max_input_chars_per_word", "x"), "from 1 to 1000. Received: 'x'"),
        (
            set_value("model", "continuing_subword_prefix", None),
            "`prefix` must be .* Received: None",
        ),
        (set_value("model", "unk_token", "<none>"), "the unknown token. Received: '<none>'"),
        (set_value("normalizer", None), "`normalizer`.* Received: None"),
        (set_value("normalizer", {"type": "Replace", "pattern": "(a+)+$"}), "Received: 'Replace'"),
        (set_value("normalizer", "clean_text", False), "`normalizer.clean_text`.* Received: False"),
        (set_value("pre_tokenizer", {"type": "Punctuation"}), "Received: 'Punctuation'"),
        (set_value("pre_tokenizer", {"type": "Whitespace"}), "`normalizer`.*'BertNormalizer'"),
        (set_value("pre_tokenizer", []), r"`pre_tokenizer`.* Received: \[\]"),
        (set_value("added_tokens", 5), "`added_tokens`.* Received: 5"),
        (set_value("added_tokens", [7]), "`added_tokens`.* Received: 7"),
        (set_value("added_tokens", 0, "special", None), "PAD.* Received: None"),
        (set_value("added_tokens", 0, "single_word", True), "single_word of .*`.* Received: True"),
        (set_value("added_tokens", 0, "id", 5), "`added_tokens.id of '.*'`.* Received: 5"),
    ],
)
def test_another_kind_of_tokenizer_is_refused_by_name(folder, change, message):
    edit(folder / "tokenizer.json", change)
    assert_refused(WordPieceTokenizer, folder, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_value("do_basic_tokenize", False), "`do_basic_tokenize`.* Received: False"),
        (set_value("do_lower_case", "yes"), "`lowercase` must be True or False. Received: 'yes'"),
        (set_value("mask_token", "<mask>"), "must name tokens of the .* Received: '<mask>'"),
        (set_value("added_tokens_decoder", [1]), r"`added_tokens_decoder`.* Received: \[1\]"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder, change, message):
    remove(folder, "tokenizer.json")
    edit(folder / "tokenizer_config.json", change)
    assert_refused(WordPieceTokenizer, folder, message)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[UNK]", "a", "b", "a"], "a token once. Received: 'a' on the lines 2 and 4 of '"),
        (["a", "b"], r"the unknown token. Received: '\[UNK\]' in '"),
        (["[UNK]", "", "a"], "not empty and has no line break. Received: '' at 1"),
    ],
)
def test_a_broken_vocabulary_is_refused(tmp_path, lines, message):
    (tmp_path / "vocab.txt").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.load(tmp_path)


def test_files_that_are_no_text_or_too_large_are_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"[UNK]\n\xff\n")
    with pytest.raises(ValueError, match="vocab.txt must be UTF-8. Received: .* byte 6 is not"):
        WordPieceTokenizer.load(tmp_path)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match="vocab.txt must have at most .* with 1073741824"):
        WordPieceTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {}, "model": {}}')
    with pytest.raises(ValueError, match="'model' stands twice"):
        WordPieceTokenizer.load(tmp_path)


@pytest.mark.parametrize("gone", [["tokenizer.json"], ["vocab.txt"]])
def test_an_older_folder_names_added_tokens_in_a_file_of_their_own(learned, folder, gone):
    remove(folder, *gone)
    path = folder / "added_tokens.json"
    path.write_text(json.dumps({"covid": learned.vocabulary_size}))
    added = WordPieceTokenizer.load(folder)
    assert added.added_tokens == ("covid",)
    assert learned.vocabulary_size in added.tokenize("a Covid19").numpy()
    more = {"additional_special_tokens": ["<sep>"]}
    edit(folder / "tokenizer_config.json", lambda content: content.update(more))
    path.write_text(json.dumps({"<sep>": learned.vocabulary_size, "[MASK]": 4}))
    assert WordPieceTokenizer.load(folder).token_to_id("<sep>") == learned.vocabulary_size


@pytest.mark.parametrize("config", [None, {"do_lower_case": True}, {"model_max_length": 512}])
@pytest.mark.parametrize("gone", [[], ["vocab.txt"], ["tokenizer.json"]])
def test_bert_opens_as_it_is_published(learned, folder, config, gone):
    remove(folder, *SMALL_FILES, *gone)
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert describe(WordPieceTokenizer.load(folder)) == describe(learned)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"json or vocab.txt. Received: '{tmp_path}'"):
        WordPieceTokenizer.load(tmp_path)
