"""Tokens that users added to T5 and to Llama: the ids of transformers, and the files both ways."""

import unicodedata

import pytest
from tokenizers import AddedToken, Tokenizer

from lmzoo.tokenizers import SentencePieceTokenizer
from tests.tokenizers.files.editing import edit, remove

# Where the library that reads tokenizer.json differs from the sentencepiece library: it normalizes
# whole grapheme clusters and loses characters of them, takes U+0085 for a space, takes U+2581 for
# a space that is there already, and makes special tokens from text.
DIVERGING = ("\u200d", "\u200b", "\x85", "\u2581", "<pad>", "</s>")
ADDED = ["covid", "<ne w>", "\ufb01x", "Hello", "lo, w", "Ünï"]


def agrees(text):
    marks = any(unicodedata.category(character)[0] == "M" for character in text)
    return not marks and not any(mark in text for mark in DIVERGING)


def draw_around(draw_texts, tokens, seed, count):
    """Texts in which tokens stand inside of words, between spaces, and beside each other."""
    texts = []
    for index, text in enumerate(draw_texts(seed, count)):
        token, other = tokens[index % len(tokens)], tokens[(index // 3) % len(tokens)]
        place = (7 * index) % (len(text) + 1)
        gap = ("", " ", "  ")[index % 3]
        texts.append(f"{text[:place]}{gap}{token}{text[place:]}{other}")
    return list(filter(agrees, texts))


def assert_equal_but_for_ties(ours, theirs, texts, share=0.005):
    different = [pair for pair in zip(ours, theirs, texts, strict=True) if pair[0] != pair[1]]
    for mine, other, text in different:
        assert sorted(mine) == sorted(other), text
    assert len(different) <= share * len(texts)


@pytest.fixture(scope="module")
def t5(unigram_tokenizer, tmp_path_factory):
    """A folder that transformers saved, with normalized, raw and special tokens added."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("t5")
    unigram_tokenizer.save(folder / "plain")
    reference = transformers.AutoTokenizer.from_pretrained(folder / "plain")
    reference.add_tokens(ADDED)
    reference.add_tokens([AddedToken("<raw>", normalized=False), AddedToken("rawer")])
    reference.add_tokens(["<hl>", "<answer>"], special_tokens=True)
    reference.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_t5_with_added_tokens_gives_the_reference_ids(t5, draw_texts, nasty_texts, count):
    reference = Tokenizer.from_file(str(t5 / "tokenizer.json"))
    tokenizer = SentencePieceTokenizer.load(t5)
    assert tokenizer.vocabulary_size == reference.get_vocab_size() == 810
    tokens = [*ADDED, "<raw>", "rawer", "ｃovid", "fix", "HELLO", "<hl>"]
    texts = draw_around(draw_texts, tokens, 51, count)
    texts += filter(agrees, nasty_texts)
    theirs = [item.ids for item in reference.encode_batch(texts, add_special_tokens=False)]
    ours = tokenizer.tokenize(texts, allow_special=True).to_list()
    assert_equal_but_for_ties(ours, theirs, texts)
    decoded = [text.decode() for text in tokenizer.detokenize(ours, skip_special=False).numpy()]
    # Without the unknown token, which either decoder writes in its own way, and the token that
    # the other one writes normalized.
    known = [place for place, row in enumerate(ours) if not {2, 802} & set(row)]
    wanted = reference.decode_batch([ours[place] for place in known], skip_special_tokens=False)
    assert [decoded[place] for place in known] == wanted


def test_special_ones_come_out_of_no_text(t5):
    tokenizer = SentencePieceTokenizer.load(t5)
    assert tokenizer.token_to_id("<hl>") == 808 and tokenizer.token_to_id("<extra_id_0>") == 799
    assert {"<hl>", "<answer>"} < set(tokenizer.special_tokens)
    plain = tokenizer.tokenize("a <hl>covid</s>").numpy().tolist()
    assert 808 not in plain and tokenizer.token_to_id("covid") in plain
    some = tokenizer.tokenize("a <hl>covid<answer>", allow_special=["<hl>"]).numpy().tolist()
    assert 808 in some and 809 not in some and tokenizer.token_to_id("covid") in some


@pytest.mark.parametrize("gone", [[], ["tokenizer.json"], ["tokenizer_config.json"]])
def test_what_is_saved_is_the_same_again(t5, tmp_path, draw_texts, gone):
    tokenizer = SentencePieceTokenizer.load(t5)
    tokenizer.save(tmp_path)
    remove(tmp_path, *gone)
    again = SentencePieceTokenizer.load(tmp_path)
    assert again._vocabulary.ids == tokenizer._vocabulary.ids
    assert again.special_tokens == tokenizer.special_tokens
    assert set(again._vocabulary.added_tokens) == set(tokenizer._vocabulary.added_tokens)
    if not gone:
        again.save(tmp_path / "b")
        for path in tmp_path.glob("*.*"):
            assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_model_file_with_a_token_behind_the_sentinels_opens(unigram_tokenizer, tmp_path):
    unigram_tokenizer.save(tmp_path)
    remove(tmp_path, "tokenizer.json")
    token = {"content": "<hl>", "special": True, "normalized": False}

    def add(content):
        content["added_tokens_decoder"]["800"] = token
        content["additional_special_tokens"].append("<hl>")

    edit(tmp_path / "tokenizer_config.json", add)
    assert SentencePieceTokenizer.load(tmp_path).token_to_id("<hl>") == 800


def test_offsets_are_those_of_the_reference(t5, draw_texts):
    reference = Tokenizer.from_file(str(t5 / "tokenizer.json"))
    tokenizer = SentencePieceTokenizer.load(t5)
    texts = ["a covid  b", "xcovidy <raw>", " Hello fi\ufb01x.", "é<ne w>我 covid", "", "lo, wa"]
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    assert ids.to_list() == tokenizer.tokenize(texts).to_list()
    for text, row, first, last in zip(
        texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True
    ):
        wanted = reference.encode(text, add_special_tokens=False)
        assert row == wanted.ids
        # The reference counts the space before a word, and for a space alone the next character.
        places = [place for place, token in enumerate(wanted.tokens) if token != "\u2581"]
        found = [text[first[place] : last[place]] for place in places]
        offsets = [wanted.offsets[place] for place in places]
        assert found == [text[a:b].strip() for a, b in offsets], text


CHATML = ["<|im_start|>", "<|im_end|>"]
STRIPS = ("rstrip", "lstrip")


@pytest.mark.quick(
    "200-first-strips0-False",
    "200-None-strips4-True",
    "200-always-strips1-True",
    "200-None-strips2-True",
)
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(
    ("metaspace", "strips"),
    # The last is Phi-3's, in a folder of Llama's or Mistral's model type.
    [("first", ()), ("always", ()), (None, ()), ("first", STRIPS), (None, STRIPS)],
)
@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_chat_tokens_of_llama_give_the_reference_ids(
    train_model, tmp_path, draw_texts, special, metaspace, strips, count
):
    options = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    roles = {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2}
    data = train_model("bpe", byte_fallback=True, **options, **roles)
    roles = {"start_token": "<s>", "end_token": "</s>", "pad_token": None}
    first = SentencePieceTokenizer(data, 0, add_start_token=True, prepend_scheme=metaspace, **roles)
    first.save(tmp_path)

    def add(content):
        for index, token in enumerate(CHATML):
            # The first one strips behind it alone.
            options = {name: name in strips[: 1 + index] for name in ("lstrip", "rstrip")}
            content["added_tokens"].append(
                {
                    **{"id": 700 + index, "content": token, "special": special},
                    **{"normalized": False, "single_word": False, **options},
                }
            )

    edit(tmp_path / "tokenizer.json", add)
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer = SentencePieceTokenizer.load(tmp_path)
    assert tokenizer.vocabulary_size == 702
    tokens = [*CHATML, "<s>", "<|im_start|>user\n", "<|im_end|>\n"]
    texts = draw_around(draw_texts, tokens, 52, count)
    theirs = [item.ids for item in reference.encode_batch(texts, add_special_tokens=False)]
    assert tokenizer.tokenize(texts, allow_special=True).to_list() == theirs
    plain = tokenizer.tokenize("a <|im_end|>b").numpy().tolist()
    assert (701 in plain) is not special
    text = tokenizer.detokenize(tokenizer.tokenize("a <|im_end|>b")).numpy().decode()
    assert "<|im_end|>" in text
    tokenizer.save(tmp_path / "b")
    again = SentencePieceTokenizer.load(tmp_path / "b")
    assert again._vocabulary.ids == tokenizer._vocabulary.ids
    assert again._vocabulary.added_tokens == tokenizer._vocabulary.added_tokens
    assert (again._lstrip, again._rstrip) == (tokenizer._lstrip, tokenizer._rstrip)
    remove(tmp_path / "b", "tokenizer.json")
    assert SentencePieceTokenizer.load(tmp_path / "b")._vocabulary.ids == again._vocabulary.ids


def test_a_normalizer_that_would_change_a_token_is_refused(train_model, tmp_path):
    options = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    roles = {"pad_id": -1, "unk_id": 0, "bos_id": 1, "eos_id": 2}
    data = train_model("bpe", byte_fallback=True, **options, **roles)
    SentencePieceTokenizer(data, 0, start_token="<s>", pad_token=None).save(tmp_path)
    token = {"id": 700, "content": "<t>", "special": False, "normalized": True}
    edit(tmp_path / "tokenizer.json", lambda content: content["added_tokens"].append(token))
    with pytest.raises(ValueError, match="False as `added_tokens.normalized of '<t>'`.*: True"):
        SentencePieceTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"extra_tokens": ["<t>"]}, "`extra_tokens` must be in .* Received: '<t>'"),
        (
            {"extra_tokens": ["a"], "added_tokens": ["a"]},
            "`extra_tokens` must not be in the model. Received: 'a'",
        ),
        ({"added_tokens": ["<t>"]}, "`added_tokens` must be in `vocabulary`. Received: '<t>'"),
        ({"prepend_scheme": "last"}, "`prepend_scheme` must be None or .* Received: 'last'"),
        ({"tokenizer_class": "Albert"}, "`tokenizer_class` must be None or .* Received: 'Albert'"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(unigram_model, arguments, message):
    with pytest.raises(ValueError, match=message):
        SentencePieceTokenizer(unigram_model, **arguments)


def test_a_scheme_that_no_file_can_say_is_not_saved(unigram_model, tmp_path):
    tokenizer = SentencePieceTokenizer(unigram_model, prepend_scheme="never")
    with pytest.raises(ValueError, match="Received: prepend_scheme='never'"):
        tokenizer.save(tmp_path)
