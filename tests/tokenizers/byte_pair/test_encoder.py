"""Llama 3's and Qwen2's settings against the library they were published for."""

import json
import statistics
import time
import unicodedata

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from lmzoo.tokenizers import AddedToken, BytePairTokenizer
from lmzoo.tokenizers.byte_pair.vocabulary import BYTE_CHARACTERS
from lmzoo.tokenizers.unicode.split_patterns import PATTERNS
from tests.tokenizers.files.editing import edit, set_value
from tests.tokenizers.laws import assert_saved_says_the_same, every_character, make_reference

PATTERN_NAMES = ["llama3", "qwen2"]
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]


def learn(pattern, text):
    """Vocabulary and merges that the library learns with a pattern; special tokens stand last."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERNS[pattern]), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=2500, initial_alphabet=sorted(BYTE_CHARACTERS), show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict(model["vocab"])
    vocabulary |= {token: len(vocabulary) + place for place, token in enumerate(SPECIAL)}
    return vocabulary, model["merges"]


@pytest.fixture(scope="module", params=PATTERN_NAMES)
def tokenizer(request, library_text):
    vocabulary, merges = learn(request.param, library_text[:300_000])
    roles = {"start_token": SPECIAL[0], "end_token": SPECIAL[1]}
    return BytePairTokenizer(
        vocabulary,
        merges,
        SPECIAL,
        **roles,
        pattern=request.param,
        normalize_nfc=request.param == "qwen2",
    )


@pytest.fixture(scope="module")
def reference(tokenizer, tmp_path_factory):
    return make_reference(tokenizer, tmp_path_factory.mktemp("reference"))


def assert_same_ids(tokenizer, reference, texts):
    columns = [rows.to_list() for rows in tokenizer.tokenize_with_offsets(texts)]
    theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    wrong = [
        (text[:80], mine, other)
        for text, mine, other in zip(texts, columns[0], theirs, strict=True)
        if mine != other
    ]
    assert not wrong, wrong[:3]
    assert tokenizer.tokenize(texts).to_list() == columns[0]


@pytest.mark.quick("llama3")
def test_nasty_and_drawn_texts_give_the_reference_ids(
    tokenizer, reference, nasty_texts, draw_texts, library_text
):
    texts = [*nasty_texts, *draw_texts(21, 600), library_text[300_000:400_000]]
    assert_same_ids(tokenizer, reference, texts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(22, 27))
def test_many_drawn_texts_give_the_reference_ids(tokenizer, reference, draw_texts, seed):
    assert_same_ids(tokenizer, reference, draw_texts(seed, 10_000))


@pytest.mark.slow
def test_every_code_point_gives_the_reference_ids(tokenizer, reference):
    for characters in every_character():
        assert_same_ids(tokenizer, reference, characters)
        assert_same_ids(tokenizer, reference, [f"a_{character}b" for character in characters])
        assert_same_ids(tokenizer, reference, [f"a{character}_b" for character in characters])


def test_offsets_are_the_reference_offsets(tokenizer, reference, nasty_texts, draw_texts):
    texts = [*nasty_texts, *draw_texts(12, 200)]
    _, starts, ends = (rows.to_list() for rows in tokenizer.tokenize_with_offsets(texts))
    for text, first, last, encoding in zip(
        texts, starts, ends, reference.encode_batch(texts, add_special_tokens=False), strict=True
    ):
        if unicodedata.normalize("NFC", text) != text:
            continue
        # Ours are without the spaces at their own ends.
        cut = [text[start:end].strip(" ") for start, end in encoding.offsets]
        assert [text[start:end] for start, end in zip(first, last, strict=True)] == cut


def test_offsets_of_what_is_composed_are_those_of_its_parts(tokenizer):
    if not tokenizer.normalize_nfc:
        pytest.skip("Llama 3 does not compose")
    text = "x e\u0301a \u1100\u1161\u11a8"
    columns = (values.numpy().tolist() for values in tokenizer.tokenize_with_offsets(text))
    ids, starts, ends = columns
    assert ids == tokenizer.tokenize("x \u00e9a \uac01").numpy().tolist()
    cut = (text[start:end] for start, end in zip(starts, ends, strict=True))
    # The token of the space alone stands for no character.
    assert list(dict.fromkeys(filter(None, cut))) == ["x", "e\u0301", "a", "\u1100\u1161\u11a8"]


def test_a_word_that_is_a_token_is_it_where_merges_are_ignored(tmp_path, nasty_texts):
    vocabulary = {character: index for index, character in enumerate(BYTE_CHARACTERS)}
    for token in ("ab", "bc", "abc", "abcd", "\u0120x", "'s"):
        vocabulary[token] = len(vocabulary)
    vocabulary["<|endoftext|>"] = len(vocabulary)
    merges = ["b c", "a b", "a bc"]
    for ignore_merges in (False, True):
        tokenizer = BytePairTokenizer(
            vocabulary, merges, pattern="llama3", ignore_merges=ignore_merges
        )
        reference = make_reference(tokenizer, tmp_path / str(ignore_merges))
        texts = ["abc", "abcd", "ab", " x", "x's", "abcde", *nasty_texts]
        assert_same_ids(tokenizer, reference, texts)
        assert len(tokenizer.tokenize("abcd")) == (1 if ignore_merges else 2)


@pytest.mark.slow
def test_the_pattern_is_kept_in_a_graph(tokenizer, tmp_path, nasty_texts):
    assert_saved_says_the_same(tokenizer, tokenizer.tokenize, nasty_texts, tmp_path)


@pytest.mark.quick("qwen2")
def test_an_added_token_is_not_skipped(tokenizer):
    parts = tokenizer._vocabulary
    added = BytePairTokenizer(
        parts.ids, parts.merges, SPECIAL[:2], SPECIAL[1], added_tokens=[SPECIAL[2]]
    )
    text = "a" + "".join(SPECIAL)
    ids = added.tokenize(text, allow_special=True)
    assert added.detokenize(ids).numpy().decode() == "a<|eot_id|>"
    assert tokenizer.detokenize(ids).numpy() == b"a"


# Raw ones and normalized ones; "the" is made by merges too, and two begin alike.
RAW = ("<|eot_id|>", "hat", "cafe\u0301")
NORMALIZED = ("   ", "\t\t", "e\u0301te", "caf\u00e9s", "the", "hats", "\u00e9")
STRIPS = {
    "hat": {"rstrip": True},
    "the": {"lstrip": True, "rstrip": True},
    "\u00e9": {"lstrip": True},
}
ADDED = [
    *(AddedToken(text, normalized=False, **STRIPS.get(text, {})) for text in RAW),
    *(AddedToken(text, **STRIPS.get(text, {})) for text in NORMALIZED),
]


@pytest.fixture(scope="module")
def extended(tokenizer):
    """The same tokenizer with added tokens."""
    parts = tokenizer._vocabulary
    new = [text for text in (*RAW, *NORMALIZED) if text not in parts.ids]
    ids = {**parts.ids, **{text: len(parts.ids) + n for n, text in enumerate(new)}}
    settings = {"pattern": tokenizer.pattern, "normalize_nfc": tokenizer.normalize_nfc}
    return BytePairTokenizer(
        ids, parts.merges, SPECIAL[:2], SPECIAL[1], added_tokens=ADDED, **settings
    )


@pytest.mark.quick("qwen2-300")
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_added_tokens_are_found_as_the_reference_finds_them(
    extended, tmp_path, nasty_texts, draw_texts, count
):
    reference = make_reference(extended, tmp_path)
    texts = ["a hats<|eot_id|><|end_of_text|>", "cafe\u0301\u0327hat\u0338", " cafe cafe\u0301 x"]
    texts += ["<|eot_id|>".join(nasty_texts), "hat".join(draw_texts(5, 50)), "that\0hat"]
    texts += [*RAW, *NORMALIZED, "a    b\t\t\tc", "ete\u0301te cafe\u0301s bothe"]
    generator = np.random.default_rng(0)
    parts = [*RAW, *NORMALIZED, *" \n\tae\u0301\u0327th", "cafe", "the ", "\0"]
    texts += [
        "".join(parts[index] for index in generator.integers(len(parts), size=size % 12))
        for size in range(count)
    ]
    assert_same_ids(extended, reference, texts)
    ids = extended.tokenize(texts[0]).numpy()
    assert {extended.token_to_id("hat"), extended.token_to_id("<|eot_id|>")} < set(ids)
    assert extended.token_to_id(SPECIAL[1]) not in ids
    assert extended.detokenize(ids).numpy().decode() == texts[0]
    columns = (rows.to_list() for rows in extended.tokenize_with_offsets(texts[:1000]))
    for text, *row in zip(texts[:1000], *columns, strict=True):
        for index, start, end in zip(*row, strict=True):
            token = extended.id_to_token(index)
            assert token not in RAW or text[start:end].strip() == token
    reference.encode_special_tokens = False
    theirs = [encoding.ids for encoding in reference.encode_batch(texts)]
    assert extended.tokenize(texts, allow_special=True).to_list() == theirs
    again = BytePairTokenizer.load(tmp_path)
    assert set(again._vocabulary.added_tokens) == set(ADDED)


def test_offsets_of_added_tokens_are_those_of_their_text(extended, tmp_path):
    text = "x cafe\u0301 hat<|eot_id|> caf\u00e9s e\u0301te"
    ids, starts, ends = (rows.numpy() for rows in extended.tokenize_with_offsets(text))
    assert ids.tolist() == make_reference(extended, tmp_path).encode(text).ids
    found = [
        text[start:end]
        for index, start, end in zip(ids, starts, ends, strict=True)
        if extended.id_to_token(index) in extended.added_tokens
    ]
    assert found == ["cafe\u0301", "hat", "<|eot_id|>", "caf\u00e9s", "e\u0301te"]
    assert (starts[1:] >= starts[:-1]).all()


def test_added_tokens_that_are_not_read_are_refused_by_name(extended, tmp_path):
    extended.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    added = json.loads(path.read_text(encoding="utf-8"))["added_tokens"]
    place = [token["content"] for token in added].index("hat")
    edit(path, set_value("added_tokens", place, "single_word", True))
    message = "`added_tokens.single_word of 'hat'`.* Received: True .* opens as a model alone"
    with pytest.raises(ValueError, match=message):
        BytePairTokenizer.load(tmp_path)


def test_a_special_token_is_not_an_added_one(tokenizer):
    parts = tokenizer._vocabulary
    with pytest.raises(ValueError, match="not be in `special_tokens`. Received: '<|eot_id|>'"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, SPECIAL[1], added_tokens=["<|eot_id|>"])


@pytest.mark.slow
def test_it_is_at_least_half_as_fast_as_gpt2(tokenizer, library_text):
    parts = tokenizer._vocabulary
    plain = BytePairTokenizer(parts.ids, parts.merges, SPECIAL, SPECIAL[1])
    texts = [library_text[start : start + 2000] for start in range(0, 2_000_000, 2000)]

    def time_call(one):
        start = time.perf_counter()
        one.tokenize(texts)
        return time.perf_counter() - start

    time_call(plain), time_call(tokenizer)
    ratios = [time_call(tokenizer) / time_call(plain) for _ in range(7)]
    assert statistics.median(ratios) < 2, ratios


def test_an_unknown_pattern_is_refused(tokenizer):
    parts = tokenizer._vocabulary
    with pytest.raises(ValueError, match=r"`pattern` must be one of \['gpt2', .* 'gpt3'"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, SPECIAL[1], pattern="gpt3")
    with pytest.raises(TypeError, match="`add_start_token` must be True or False. .* 'yes'"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, SPECIAL[1], add_start_token="yes")
    with pytest.raises(ValueError, match="without `start_token`. Received: .*=True"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, None, add_start_token=True)
    with pytest.raises(ValueError, match="`added_tokens` must be in .* Received: 'no such'"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, None, added_tokens=["no such"])
    with pytest.raises(TypeError, match="`added_tokens` must hold AddedToken or str. .*: 7"):
        BytePairTokenizer(parts.ids, parts.merges, SPECIAL, None, added_tokens=[7])
