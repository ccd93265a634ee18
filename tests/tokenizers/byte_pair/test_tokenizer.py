import concurrent.futures
import doctest
import time

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer
from tokenizers.processors import ByteLevel

from lmzoo.tokenizers import BytePairTokenizer
from lmzoo.tokenizers.byte_pair import tokenizer as byte_pair
from lmzoo.tokenizers.byte_pair import vocabulary as byte_pair_vocabulary
from tests.tokenizers.laws import assert_linear_cost, assert_shapes, every_character


def assert_same_ids(tokenizer, reference, texts):
    ours = tokenizer.tokenize(texts).to_list()
    theirs = [encoding.ids for encoding in reference.encode_batch(texts)]
    wrong = [
        (text[:80], mine, other)
        for text, mine, other in zip(texts, ours, theirs, strict=True)
        if mine != other
    ]
    assert not wrong, wrong[:3]


def test_nasty_texts_give_the_reference_ids(byte_pair_tokenizer, byte_pair_reference, nasty_texts):
    assert_same_ids(byte_pair_tokenizer, byte_pair_reference, nasty_texts)


def test_long_text_gives_the_reference_ids(byte_pair_tokenizer, byte_pair_reference, library_text):
    unseen = library_text[1_000_000:]
    texts = [unseen[start : start + 4000] for start in range(0, len(unseen), 4000)]
    assert_same_ids(byte_pair_tokenizer, byte_pair_reference, [*texts, unseen[:1_000_000]])


def test_drawn_texts_give_the_reference_ids(byte_pair_tokenizer, byte_pair_reference, draw_texts):
    assert_same_ids(byte_pair_tokenizer, byte_pair_reference, draw_texts(0, 5000))


@pytest.mark.slow
def test_many_drawn_texts_give_the_reference_ids(
    byte_pair_tokenizer, byte_pair_reference, draw_texts
):
    for seed in range(1, 11):
        assert_same_ids(byte_pair_tokenizer, byte_pair_reference, draw_texts(seed, 10_000))


@pytest.mark.slow
def test_every_code_point_gives_the_reference_ids(byte_pair_tokenizer, byte_pair_reference):
    for characters in every_character():
        assert_same_ids(byte_pair_tokenizer, byte_pair_reference, characters)
        between = [f"a{character}b" for character in characters]
        assert_same_ids(byte_pair_tokenizer, byte_pair_reference, between)


@pytest.mark.quick("a", "etaoin", "*u0301*")
@pytest.mark.parametrize(
    "alphabet", ["a", "ab", "etaoin", "=-", " ", "一丁丂七丄丅丆万丈三", "\u0301"]
)
def test_a_word_of_a_megabyte_gives_the_reference_ids(
    byte_pair_tokenizer, byte_pair_reference, alphabet
):
    generator = np.random.default_rng(0)
    count = 1_000_000 // len(alphabet[0].encode())
    text = "".join(np.array(list(alphabet))[generator.integers(len(alphabet), size=count)])
    assert_same_ids(byte_pair_tokenizer, byte_pair_reference, [text])


def test_offsets_are_the_reference_offsets(
    byte_pair_tokenizer, byte_pair_reference, nasty_texts, draw_texts, draw_mark_texts, library_text
):
    reference = Tokenizer.from_str(byte_pair_reference.to_str())
    reference.encode_special_tokens = True
    reference.post_processor = ByteLevel(trim_offsets=True, add_prefix_space=False)
    unseen = library_text[1_000_000:1_100_000]
    texts = [*nasty_texts, *draw_texts(12, 1000), *draw_mark_texts(12, 300), unseen, ""]
    columns = [rows.to_list() for rows in byte_pair_tokenizer.tokenize_with_offsets(texts)]
    for text, ids, starts, ends, theirs in zip(
        texts, *columns, reference.encode_batch(texts), strict=True
    ):
        assert ids == theirs.ids
        assert list(zip(starts, ends, strict=True)) == theirs.offsets, ascii(text)[:80]
    for text, *rows in zip(texts[:40], *columns, strict=False):
        alone = byte_pair_tokenizer.tokenize_with_offsets(text)
        assert [values.numpy().tolist() for values in alone] == rows


def test_shapes_and_dtypes(byte_pair_tokenizer):
    assert_shapes(byte_pair_tokenizer, "a b", 2)


@pytest.mark.quick("<lambda>0")
@pytest.mark.parametrize(
    "make", [lambda size: "word " * (size // 5), lambda size: "ab" * (size // 2)]
)
def test_cost_is_linear(byte_pair_tokenizer, make):
    assert_linear_cost(byte_pair_tokenizer, make, repeats=5)


def test_text_comes_back_exactly(byte_pair_tokenizer, nasty_texts, draw_texts):
    texts = [*nasty_texts, *draw_texts(3, 500)]
    ids = byte_pair_tokenizer.tokenize(texts)
    expected = [text.encode() for text in texts]
    assert byte_pair_tokenizer.detokenize(ids).numpy().tolist() == expected
    padded = ids.to_tensor(byte_pair_tokenizer.pad_token_id)
    assert byte_pair_tokenizer.detokenize(padded).numpy().tolist() == expected
    assert byte_pair_tokenizer.detokenize(ids.to_list()).numpy().tolist() == expected


def test_a_cut_character_is_replaced_in_text_and_kept_in_bytes(byte_pair_tokenizer):
    ids = byte_pair_tokenizer.tokenize("x\U0001f9ff")
    assert len(ids) == 5
    for size in range(1, 6):
        data = byte_pair_tokenizer.detokenize_bytes(ids[:size]).numpy()
        assert data == "x\U0001f9ff".encode()[:size]
        text = byte_pair_tokenizer.detokenize(ids[:size]).numpy().decode()
        assert text == data.decode("utf-8", "replace")


def test_special_tokens_leave_nothing_behind_unless_asked(byte_pair_tokenizer):
    end, letter = byte_pair_tokenizer.end_token_id, byte_pair_tokenizer.token_to_id("a")
    ids = [[letter, end, letter], [end]]
    assert byte_pair_tokenizer.detokenize(ids).numpy().tolist() == [b"aa", b""]
    whole = byte_pair_tokenizer.detokenize(ids, skip_special=False).numpy().tolist()
    assert whole == [b"a<|endoftext|>a", b"<|endoftext|>"]


@pytest.mark.parametrize("wrong", [-1, 1_000_003])
def test_an_id_out_of_range_is_refused(byte_pair_tokenizer, wrong):
    decode = tf.function(byte_pair_tokenizer.detokenize)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"`ids` must be(.|\n)*{wrong}"):
        byte_pair_tokenizer.detokenize([[1, wrong]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"`ids` must be(.|\n)*{wrong}"):
        decode(tf.constant([[1, wrong]]))


def test_wrong_arguments_are_refused(byte_pair_tokenizer):
    with pytest.raises(TypeError, match="`text` must hold strings. Received: dtype=int32"):
        byte_pair_tokenizer.tokenize([1, 2])
    with pytest.raises(ValueError, match=r"`text` must be one string .* shape=\(1, 1\)"):
        byte_pair_tokenizer.tokenize([["a"]])
    with pytest.raises(TypeError, match="`ids` must be integers. Received: dtype=float32"):
        byte_pair_tokenizer.detokenize(tf.constant([1.5]))
    with pytest.raises(ValueError, match=r"`ids` must have one or two axes. Received: shape=\(\)"):
        byte_pair_tokenizer.detokenize(tf.constant(3))
    with pytest.raises(ValueError, match="`token` must be one of the 3000 .* 'no token'"):
        byte_pair_tokenizer.token_to_id("no token")
    with pytest.raises(ValueError, match="`token_id` must be from 0 to 2999. Received: 3000"):
        byte_pair_tokenizer.id_to_token(3000)
    with pytest.raises(ValueError, match="`pad_token` must be among .* Received: 'a'"):
        BytePairTokenizer(byte_pair_tokenizer._vocabulary.ids, [], pad_token="a")


def test_ids_of_roles_fall_back_to_the_end(byte_pair_tokenizer):
    vocabulary = byte_pair_tokenizer._vocabulary
    roles = BytePairTokenizer(
        vocabulary.ids, vocabulary.merges, vocabulary.special_tokens, pad_token="<pad>"
    )
    end = roles.token_to_id("<|endoftext|>")
    assert (roles.end_token_id, roles.start_token_id, roles.mask_token_id) == (end, end, None)
    assert roles.pad_token_id == roles.token_to_id("<pad>") != end
    assert byte_pair_tokenizer.pad_token_id == end
    none = BytePairTokenizer(vocabulary.ids, vocabulary.merges, end_token=None)
    assert none.end_token_id is none.pad_token_id is None


def test_token_and_id_are_inverse(byte_pair_tokenizer):
    tokens = [byte_pair_tokenizer.id_to_token(index) for index in range(3000)]
    assert [byte_pair_tokenizer.token_to_id(token) for token in tokens] == list(range(3000))


def test_a_tokenizer_without_merges_gives_bytes():
    tokenizer = BytePairTokenizer.train(iter(["x"]), 256, special_tokens=[])
    assert tokenizer.detokenize(tokenizer.tokenize(["a é 我"])).numpy() == ["a é 我".encode()]
    assert tokenizer.tokenize("a é 我").shape == (8,)


@pytest.mark.parametrize("module", [byte_pair_vocabulary, byte_pair])
def test_the_examples_run(module):
    failed, tried = doctest.testmod(module)
    assert tried and not failed


def test_threads_that_share_a_new_tokenizer_make_its_tables_once(monkeypatch):
    made = []

    class SlowEncoder(byte_pair.BytePairEncoder):
        def __init__(self, *arguments):
            made.append(self)
            time.sleep(0.2)
            super().__init__(*arguments)

    monkeypatch.setattr(byte_pair, "BytePairEncoder", SlowEncoder)
    tokenizer = BytePairTokenizer.train(iter(["a cat, a hat, a cat"]), 300)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(tokenizer.tokenize, [["a hat"]] * 4))
    assert len(made) == 1
    assert len({tuple(ids.flat_values.numpy()) for ids in found}) == 1
