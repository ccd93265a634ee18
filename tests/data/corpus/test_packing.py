import types

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import BertProcessing, RobertaProcessing

from lmzoo.data.corpus.packing import count_special_tokens, count_text_tokens, pack, truncate_pair

PAD, START, END = 0, 1, 2
SIZE = 60


def make_roles(num_separators=1, **roles):
    ids = {"pad_token_id": PAD, "start_token_id": START, "end_token_id": END}
    return types.SimpleNamespace(num_separators=num_separators, **{**ids, **roles})


def make_reference(num_separators, length):
    """The library's own truncation, special tokens and masks over the words "0" to "59"."""
    reference = Tokenizer(WordLevel({str(number): number for number in range(SIZE)}, "0"))
    reference.pre_tokenizer = WhitespaceSplit()
    ends = (str(END), END), (str(START), START)
    if num_separators == 1:
        reference.post_processor = BertProcessing(*ends)
    else:
        reference.post_processor = RobertaProcessing(*ends, add_prefix_space=False)
    reference.enable_truncation(length, strategy="longest_first")
    return reference


def draw_texts(draw, num_rows, longest):
    lengths = draw.integers(0, longest, num_rows)
    return [draw.integers(3, SIZE, length).tolist() for length in lengths]


def as_ragged(rows):
    return tf.ragged.constant(rows, tf.int32, ragged_rank=1, row_splits_dtype=tf.int64)


@pytest.mark.quick("5-2-1", "6-2-2", "13-2-2", "5-1-1", "32-1-2", "13-1-1")
@pytest.mark.parametrize("num_separators", [1, 2])
@pytest.mark.parametrize("num_texts", [1, 2])
@pytest.mark.parametrize("length", [5, 6, 13, 32])
def test_rows_are_those_of_the_reference(num_separators, num_texts, length):
    draw = np.random.default_rng(length)
    columns = [draw_texts(draw, 200, longest) for longest in (30, 20)[:num_texts]]
    tokenizer = make_roles(num_separators)
    inputs, features, is_truncated = pack([as_ragged(rows) for rows in columns], tokenizer, length)
    reference = make_reference(num_separators, length)
    texts = [[" ".join(map(str, row)) for row in rows] for rows in columns]
    encodings = reference.encode_batch(
        texts[0] if num_texts == 1 else list(zip(*texts, strict=True))
    )
    width = inputs["token_ids"].shape[1]
    longest = max(len(encoding.ids) for encoding in encodings)
    assert features is None
    assert width == min(length, -(-longest // 8) * 8)
    for row, encoding in enumerate(encodings):
        encoding.pad(width, pad_id=PAD)
        assert inputs["token_ids"][row].numpy().tolist() == encoding.ids
        assert inputs["padding_mask"][row].numpy().tolist() == list(
            map(bool, encoding.attention_mask)
        )
        assert bool(is_truncated[row]) == bool(encoding.overflowing)
        types = encoding.type_ids
        if num_separators == 2:
            # All are 0 there; a RoBERTa has one segment. Here the second text has its own.
            types = [0] * width
            if num_texts == 2:
                first = encoding.ids.index(END) + 1
                types[first : sum(encoding.attention_mask)] = [1] * (
                    sum(encoding.attention_mask) - first
                )
        assert inputs["segment_ids"][row].numpy().tolist() == types


def cut_one_by_one(first, second, room):
    """How the paper's code does it: the longer one loses its last token, the second of equals."""
    while first + second > room:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


def test_a_pair_is_truncated_token_by_token_but_for_an_odd_one():
    first, second = (axis.reshape(-1) for axis in np.meshgrid(np.arange(15), np.arange(15)))
    for room in range(1, 20):
        kept = truncate_pair(tf.constant(first), tf.constant(second), room)
        for a, b, x, y in zip(first, second, *(side.numpy() for side in kept), strict=True):
            one, other = cut_one_by_one(a, b, room)
            assert x + y == one + other and x <= a and y <= b and abs(x - one) <= 1


def test_features_stay_with_their_tokens():
    rows = [[[5, 50, 51], [6, 60, 61]], [[7, 70, 71]]]
    pair = [[[8, 80, 81]], [[9, 90, 91], [10, 100, 101], [11, 110, 111]]]
    texts = [tf.ragged.constant(text, tf.int32, 1, (3,), row_splits_dtype=tf.int64)
             for text in (rows, pair)]  # fmt: skip
    inputs, features, is_truncated = pack(texts, make_roles(), 6)
    assert inputs["token_ids"].numpy().tolist() == [[1, 5, 6, 2, 8, 2], [1, 7, 2, 9, 10, 2]]
    none = [-1, -1]
    assert features.numpy().tolist() == [
        [none, [50, 51], [60, 61], none, [80, 81], none],
        [none, [70, 71], none, [90, 91], [100, 101], none],
    ]
    assert is_truncated.numpy().tolist() == [False, True]


def test_an_empty_text_is_special_tokens_and_an_empty_batch_has_no_rows():
    inputs, _, _ = pack([as_ragged([[], [7]])], make_roles(), 8)
    assert inputs["token_ids"].numpy().tolist() == [[1, 2] + [0] * 6, [1, 7, 2] + [0] * 5]
    inputs, _, is_truncated = pack([as_ragged([])], make_roles(), 8)
    assert inputs["token_ids"].shape[0] == is_truncated.shape[0] == 0


def test_a_graph_packs_what_eager_code_packs():
    columns = [as_ragged(draw_texts(np.random.default_rng(2), 9, 12)) for _ in range(2)]
    spec = [tf.RaggedTensorSpec([None, None], tf.int32)] * 2
    graph = tf.function(lambda *texts: pack(list(texts), make_roles(), 14), input_signature=spec)
    ours, theirs = pack(columns, make_roles(), 14), graph(*columns)
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_room_is_what_special_tokens_leave():
    assert [count_text_tokens(make_roles(), 10, texts) for texts in (1, 2)] == [8, 7]
    assert count_text_tokens(make_roles(2), 10, 2) == 6
    assert count_special_tokens(make_roles(2), 2) == 4


@pytest.mark.parametrize(("separators", "texts", "length"), [(1, 1, 2), (1, 2, 3), (2, 2, 4)])
def test_a_length_without_room_is_refused(separators, texts, length):
    with pytest.raises(ValueError, match=f"beside {length} .*Received: sequence_length={length}"):
        pack([as_ragged([[5]])] * texts, make_roles(separators), length)


@pytest.mark.parametrize("role", ["start_token_id", "end_token_id"])
def test_a_tokenizer_without_the_tokens_is_refused(role):
    with pytest.raises(ValueError, match=f"Received: {role}=None"):
        pack([as_ragged([[5]])], make_roles(**{role: None}), 8)


def test_what_is_no_list_of_rows_of_ids_is_refused():
    rows = as_ragged([[5]])
    for texts, error, received in (
        (rows, TypeError, "a RaggedTensor$|a RaggedTensor\\."),
        ([["a"]], TypeError, "a list in it"),
        ([tf.constant([[5]])], TypeError, "a EagerTensor in it"),
        ([], ValueError, "0 of them"),
        ([rows] * 3, ValueError, "3 of them"),
    ):
        with pytest.raises(error, match=f"one or two.*Received: ({received})"):
            pack(texts, make_roles(), 8)
