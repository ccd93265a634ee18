import doctest
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer

from lmzoo.tokenizers import WordPieceTokenizer
from lmzoo.tokenizers.training import train_word_pieces
from lmzoo.tokenizers.word_piece import tokenizer as word_piece
from tests.tokenizers.laws import assert_linear_cost, assert_shapes

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def assert_same(tokenizer, reference, texts):
    """Ids and offsets are the reference's."""
    columns = [rows.to_list() for rows in tokenizer.tokenize_with_offsets(texts)]
    encodings = reference.encode_batch(texts, add_special_tokens=False)
    wrong = []
    for text, ids, starts, ends, theirs in zip(texts, *columns, encodings, strict=True):
        offsets = list(zip(starts, ends, strict=True))
        if ids != theirs.ids or offsets != theirs.offsets:
            wrong.append((ascii(text)[:80], ids, theirs.ids, offsets, theirs.offsets))
    assert not wrong, wrong[:3]
    assert tokenizer.tokenize(texts).to_list() == columns[0]


def test_nasty_texts_give_the_reference_ids(
    word_piece_tokenizer, word_piece_reference, nasty_texts
):
    assert_same(word_piece_tokenizer, word_piece_reference, nasty_texts)
    ids = word_piece_tokenizer.tokenize(nasty_texts).flat_values.numpy()
    # Otherwise the words would be compared as [UNK] with [UNK].
    assert np.mean(ids == word_piece_tokenizer.unknown_token_id) < 0.05


def test_long_text_gives_the_reference_ids(
    word_piece_tokenizer, word_piece_reference, library_text
):
    unseen = library_text[1_000_000:1_400_000]
    texts = [unseen[start : start + 4000] for start in range(0, len(unseen), 4000)]
    assert_same(word_piece_tokenizer, word_piece_reference, [*texts, unseen])


def test_drawn_texts_give_the_reference_ids(
    word_piece_tokenizer, word_piece_reference, draw_texts, draw_mark_texts
):
    texts = [*draw_texts(30, 3000), *draw_mark_texts(31, 2000)]
    assert_same(word_piece_tokenizer, word_piece_reference, texts)


@pytest.mark.quick("True-False")
@pytest.mark.parametrize(("lowercase", "strip_accents"), [(True, False), (False, None)])
def test_every_cleaning_gives_the_reference_ids(
    word_piece_tokenizer, nasty_texts, draw_mark_texts, lowercase, strip_accents, tmp_path
):
    texts = [*nasty_texts, *draw_mark_texts(32, 500), "The Quick ÉCOLE"]
    tokens = dict.fromkeys(word_piece_tokenizer._vocabulary.tokens)
    for text in texts:
        for character in text.replace("\r", "").replace("\n", ""):
            tokens |= {character: None, f"##{character}": None}
    tokenizer = WordPieceTokenizer(list(tokens), lowercase, strip_accents)
    tokenizer.save(tmp_path)
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    reference.encode_special_tokens = True
    assert_same(tokenizer, reference, texts)


@pytest.mark.slow
def test_many_drawn_texts_give_the_reference_ids(
    word_piece_tokenizer, word_piece_reference, draw_texts, draw_mark_texts
):
    for seed in range(100, 110):
        texts = [*draw_texts(seed, 10_000), *draw_mark_texts(seed, 10_000)]
        assert_same(word_piece_tokenizer, word_piece_reference, texts)


@pytest.mark.quick("text0", "text1")
@pytest.mark.parametrize("text", ["a" * 1_000_000, " " * 1_000_000, "我" * 300_000, "." * 300_000])
def test_a_text_of_one_character_gives_the_reference_ids(
    word_piece_tokenizer, word_piece_reference, text
):
    assert_same(word_piece_tokenizer, word_piece_reference, [text, "a b", ""])


def test_words_up_to_a_hundred_characters_are_cut(word_piece_tokenizer, word_piece_reference):
    # In characters, after the cleaning: a syllable is three, a mark none.
    texts = ["a" * 100, "a" * 101, "é" * 100, "a\u0301" * 101, "각" * 33, "각" * 34, "a\xad" * 100]
    assert_same(word_piece_tokenizer, word_piece_reference, texts)
    sizes = [len(word_piece_tokenizer.tokenize(text)) for text in texts]
    assert [size == 1 for size in sizes] == [False, True, False, True, False, True, False]


def test_shapes_and_dtypes(word_piece_tokenizer):
    assert_shapes(word_piece_tokenizer, "a b", 2)


@pytest.mark.quick("one mixed word", "marks", "spaces")
@pytest.mark.parametrize(
    "make",
    [
        lambda size: "word " * (size // 5),
        lambda size: "a" * size,
        lambda size: " " * size,
        lambda size: "".join(chr(97 + index * index % 1009 % 26) for index in range(size)),
        lambda size: ("x" * 99 + " ") * (size // 100),
        lambda size: "각\u0301\u302e" * (size // 9),
    ],
    ids=["words", "one word", "spaces", "one mixed word", "long words", "marks"],
)
def test_cost_is_linear(word_piece_tokenizer, make):
    assert_linear_cost(word_piece_tokenizer, make, repeats=3)


def test_a_long_text_among_many_short_ones_costs_what_it_costs_alone(word_piece_tokenizer):
    texts = ["", "a[PAD]b"] * 10_000 + ["word " * 40_000]
    ids = word_piece_tokenizer.tokenize(texts, allow_special=True)
    assert len(word_piece_tokenizer.detokenize(ids)[-1].numpy()) == 5 * 40_000 - 1


def test_text_comes_back_as_the_reference_gives_it(
    word_piece_tokenizer, word_piece_reference, nasty_texts, draw_texts
):
    ids = word_piece_tokenizer.tokenize([*nasty_texts, *draw_texts(3, 300), "Don't! it 's 5 . 5"])
    generator = np.random.default_rng(0)
    rows = generator.integers(word_piece_tokenizer.vocabulary_size, size=(500, 7)).tolist()
    for given in (ids.to_list(), rows, [[index] for index in range(4000)]):
        for skip in (True, False):
            ours = word_piece_tokenizer.detokenize(given, skip_special=skip).numpy()
            theirs = word_piece_reference.decode_batch(given, skip_special_tokens=skip)
            assert [text.decode() for text in ours] == theirs
    padded = ids.to_tensor(word_piece_tokenizer.pad_token_id)
    assert word_piece_tokenizer.detokenize(padded).numpy().tolist() == (
        word_piece_tokenizer.detokenize(ids).numpy().tolist()
    )


def test_contractions_are_tightened_as_the_reference_does():
    tokens = [
        *SPECIAL,
        "do",
        "not",
        "do not",
        "a",
        "'s",
        "n't",
        "'m",
        "'ve",
        "'re",
        "' '",
        "'",
        "x .",
    ]
    tokenizer = WordPieceTokenizer(tokens)
    from tokenizers.decoders import WordPiece

    reference = WordPiece(prefix="##", cleanup=True)
    for first in range(5, len(tokens)):
        for second in range(5, len(tokens)):
            expected = reference.decode([tokens[first], tokens[second], "a"])
            ids = [first, second, tokens.index("a")]
            assert tokenizer.detokenize(ids).numpy().decode() == expected


def test_no_special_token_but_the_unknown_one_comes_out_of_text(word_piece_tokenizer, draw_texts):
    texts = [text for token in SPECIAL for text in (token, f"x{token} y", token.lower())]
    texts += ["".join(SPECIAL), "［ＭＡＳＫ］", "[MA\u200bSK]", "\u200b[PAD]", "[S\u0301EP]"]
    ids = set(word_piece_tokenizer.tokenize([*texts, *draw_texts(5, 200)]).flat_values.numpy())
    special = {word_piece_tokenizer.token_to_id(token) for token in SPECIAL}
    assert special & ids <= {word_piece_tokenizer.unknown_token_id}
    mask = word_piece_tokenizer.tokenize("[MASK]").numpy().tolist()
    assert [word_piece_tokenizer.id_to_token(index) for index in mask] == ["[", "mask", "]"]


def test_a_special_token_that_is_a_word_comes_out_of_no_text():
    roles = dict.fromkeys(["start_token", "end_token", "mask_token"])
    tokenizer = WordPieceTokenizer(
        ["[UNK]", "pad", "p", "##ad", "##a"],
        special_tokens=["[UNK]", "pad"],
        pad_token="pad",
        **roles,
    )
    assert tokenizer.tokenize("pad PAD").numpy().tolist() == [2, 3, 2, 3]


def test_allowed_special_tokens_are_found_as_the_reference_finds_them(
    word_piece_tokenizer, word_piece_reference
):
    reference = Tokenizer.from_str(word_piece_reference.to_str())
    generator = np.random.default_rng(0)
    parts = [*SPECIAL, *SPECIAL, "[mask]", " ", "\n", "É", "[", "]", "MASK", "\x00", "\u0301", "我"]
    texts = [
        "".join(parts[index] for index in generator.integers(len(parts), size=size % 12))
        for size in range(2000)
    ]
    ours = word_piece_tokenizer.tokenize(texts, allow_special=True)
    theirs = reference.encode_batch(texts, add_special_tokens=False)
    assert ours.to_list() == [encoding.ids for encoding in theirs]


def test_roles_and_names(word_piece_tokenizer, byte_pair_tokenizer):
    ids = ["pad_token_id", "unknown_token_id", "start_token_id", "end_token_id", "mask_token_id"]
    assert [getattr(word_piece_tokenizer, name) for name in ids] == [0, 1, 2, 3, 4]
    assert word_piece_tokenizer.special_tokens == tuple(SPECIAL)
    assert word_piece_tokenizer.vocabulary_size == 4000 and word_piece_tokenizer.lowercase
    tokens = [word_piece_tokenizer.id_to_token(index) for index in range(4000)]
    assert [word_piece_tokenizer.token_to_id(token) for token in tokens] == list(range(4000))
    plain = WordPieceTokenizer(["[UNK]"], special_tokens=["[UNK]"], start_token=None,
        end_token=None, pad_token=None, mask_token=None)  # fmt: skip
    assert plain.start_token_id is plain.end_token_id is plain.pad_token_id is None
    assert (plain.num_separators, byte_pair_tokenizer.num_separators) == (1, 2)


def test_pieces_that_go_on_with_a_word_are_known(word_piece_tokenizer, byte_pair_tokenizer):
    for tokenizer, goes_on in (
        (word_piece_tokenizer, lambda token: token.startswith("##") and token != "##"),
        (byte_pair_tokenizer, lambda token: token[0] not in "ĠĊĉčċČ"),
    ):
        found = tokenizer.continues_word
        assert found.dtype == bool and found.shape == (tokenizer.vocabulary_size,)
        for index, value in enumerate(found):
            token = tokenizer.id_to_token(index)
            assert value == (goes_on(token) and token not in tokenizer.special_tokens), token


def test_learning_gives_the_same_vocabulary_every_time(library_text):
    text = library_text[:300_000] + "Ünïcödé 我喜欢编程 각각 " * 20
    learned = [train_word_pieces(iter([text]), 800, SPECIAL) for _ in range(4)]
    assert all(tokens == learned[0] for tokens in learned) and len(learned[0]) == 800


def test_learning_from_files_and_from_an_iterator_gives_the_same(tmp_path, library_text):
    parts = [library_text[:50_000], "naïve\r\nCafé\n"]
    for name, part in zip("ab", parts, strict=True):
        (tmp_path / name).write_text(part, encoding="utf-8", newline="")
    learned = train_word_pieces([tmp_path / "a", tmp_path / "b"], 400, SPECIAL)
    assert learned == train_word_pieces(iter(parts), 400, SPECIAL)
    assert learned == train_word_pieces(iter([*parts, "\x00"]), 400, SPECIAL)


def test_learned_pieces_cover_their_text_and_are_of_use(library_text):
    text = library_text[:300_000]
    for lowercase in (True, False):
        tokenizer = WordPieceTokenizer.train(iter([text]), 2000, lowercase=lowercase)
        assert tokenizer.vocabulary_size == 2000 and tokenizer.lowercase == lowercase
        assert tokenizer.special_tokens == tuple(SPECIAL)
        ids = tokenizer.tokenize(text).numpy()
        short = [word for word in text.split() if len(word) <= 100]
        assert tokenizer.unknown_token_id not in tokenizer.tokenize(short).flat_values.numpy()
        assert len(ids) < len(text) / 3
        written = any(
            unicodedata.category(c) == "Lu" for c in "".join(tokenizer._vocabulary.tokens[5:])
        )
        assert written == (not lowercase)


def test_rare_characters_are_left_out_where_there_is_no_room():
    text = "abc " * 50 + "".join(chr(0x4E00 + index) for index in range(3000))
    tokens = train_word_pieces(iter([text]), 1600, SPECIAL)
    assert len(tokens) <= 1600 and {"a", "##a", "abc"} <= set(tokens)
    assert sum(len(token) == 1 for token in tokens) == 1000 - 3
    assert train_word_pieces(iter(["ab ab"]), 7, SPECIAL) == [*SPECIAL, "a", "##a"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 5}, "at least 6: 5 special tokens and a piece. Received: 5"),
        ({"vocabulary_size": 9.5}, "at least 6: .* Received: 9.5"),
        ({"special_tokens": ["[PAD]"]}, r"`special_tokens` must hold '\[UNK\]'. .* \['\[PAD\]'\]"),
    ],
)
def test_what_cannot_be_learned_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.train(iter(["a"]), **{"vocabulary_size": 100, **arguments})


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (TypeError, {"lowercase": None}, "`lowercase` must be True or False. Received: None"),
        (TypeError, {"strip_accents": 1}, "`strip_accents` must be True, False or None. .*: 1"),
        (TypeError, {"split_chinese": "x"}, "`split_chinese` must be True or False. .*: 'x'"),
        (ValueError, {"unknown_token": None}, "`unknown_token` must be a special .*: None"),
        (ValueError, {"unknown_token": "a"}, "`unknown_token` must be among .* Received: 'a'"),
        (ValueError, {"end_token": "<s>"}, "`end_token` must be among .* Received: '<s>'"),
        (ValueError, {"max_word_characters": 0}, "from 1 to 1000. Received: 0"),
        (ValueError, {"max_word_characters": 10**9}, "from 1 to 1000. Received: 1000000000"),
    ],
)
def test_wrong_arguments_are_refused(kind, arguments, message):
    with pytest.raises(kind, match=message):
        WordPieceTokenizer([*SPECIAL, "a"], **arguments)


def test_wrong_calls_are_refused(word_piece_tokenizer):
    for call in (word_piece_tokenizer.tokenize, word_piece_tokenizer.tokenize_with_offsets):
        with pytest.raises(TypeError, match="`text` must hold strings. Received: dtype=int32"):
            call([1, 2])
        with pytest.raises(ValueError, match=r"`text` must be one string .* shape=\(1, 1\)"):
            call([["a"]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="`ids` must be(.|\n)*4000"):
        word_piece_tokenizer.detokenize([[4000]])
    with pytest.raises(TypeError, match="`ids` must be integers. Received: dtype=float32"):
        word_piece_tokenizer.detokenize(tf.constant([1.5]))
    with pytest.raises(ValueError, match="`token` must be one of the 4000 .* 'no token'"):
        word_piece_tokenizer.token_to_id("no token")


def test_the_example_runs():
    failed, tried = doctest.testmod(word_piece)
    assert tried and not failed
