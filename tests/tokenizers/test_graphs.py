"""What the graphs of every tokenizer do alike."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(params=["byte_pair", "word_piece", "unigram"])
def tokenizer(request):
    return request.getfixturevalue(f"{request.param}_tokenizer")


@pytest.mark.quick("byte_pair", "unigram")
def test_every_mode_gives_the_same_ids(tokenizer, nasty_texts):
    eager = tokenizer.tokenize(nasty_texts).to_list()
    graph = tf.function(tokenizer.tokenize)(tf.constant(nasty_texts)).to_list()
    dataset = tf.data.Dataset.from_tensor_slices(nasty_texts).map(tokenizer.tokenize)
    batches = tf.data.Dataset.from_tensor_slices(nasty_texts).batch(64)
    (batch,) = batches.map(tokenizer)
    alone = [tokenizer.tokenize(text).numpy().tolist() for text in nasty_texts]
    offsets = tokenizer.tokenize_with_offsets(nasty_texts)[0].to_list()
    assert eager == graph == batch.to_list() == alone == offsets
    assert eager == [ids.numpy().tolist() for ids in dataset]


def test_neighbours_in_a_batch_change_nothing(tokenizer, draw_texts, draw_mark_texts):
    texts = [*draw_texts(7, 48), *draw_mark_texts(7, 16)]
    together = [rows.to_list() for rows in tokenizer.tokenize_with_offsets(texts)]
    alone = [tokenizer.tokenize_with_offsets(text) for text in texts]
    for column, rows in zip(zip(*alone, strict=True), together, strict=True):
        assert [values.numpy().tolist() for values in column] == rows


@pytest.fixture(scope="module")
def invalid_texts():
    """Bytes of which many are not UTF-8."""
    generator = np.random.default_rng(0)
    heads = [0x00, 0x41, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4]
    heads = np.array([*heads, 0xF5, 0xFF, 0xBB, 0x20], np.uint8)
    drawn = [heads[generator.integers(len(heads), size=size % 9)].tobytes() for size in range(5000)]
    more = [b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"a\xe2\x82", b"\xf4\x90\x80\x80", b"\xff\xfe"]
    return [*drawn, *more]


def test_invalid_utf8_is_read_as_python_replaces_it(tokenizer, invalid_texts):
    replaced = [item.decode("utf-8", "replace") for item in invalid_texts]
    ours = [rows.to_list() for rows in tokenizer.tokenize_with_offsets(invalid_texts)]
    assert ours == [rows.to_list() for rows in tokenizer.tokenize_with_offsets(replaced)]
    assert tokenizer.tokenize(invalid_texts).to_list() == ours[0]


def test_invalid_utf8_comes_back_from_bytes_as_it_was_read(byte_pair_tokenizer, invalid_texts):
    decoded = byte_pair_tokenizer.detokenize(byte_pair_tokenizer.tokenize(invalid_texts)).numpy()
    replaced = [item.decode("utf-8", "replace") for item in invalid_texts]
    assert [text.decode() for text in decoded] == replaced


def test_a_second_text_traces_nothing(tokenizer):
    tokenizer.tokenize(["a"])
    encode = tokenizer._encoder.encode
    before = encode.func.experimental_get_tracing_count()
    for size in (1, 2, 70):
        tokenizer.tokenize(["new words"] * size)
    assert encode.func.experimental_get_tracing_count() == before
