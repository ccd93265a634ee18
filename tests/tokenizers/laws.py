"""The laws that all tokenizers keep, and the reference that most are compared with."""

import statistics
import time

import pytest
import tensorflow as tf
from tokenizers import Tokenizer


def make_reference(tokenizer, folder):
    """Hugging Face's tokenizer of the same files, which leaves special tokens in text alone."""
    tokenizer.save(folder)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    reference.encode_special_tokens = True
    return reference


def every_character():
    """Lists of 100,000 characters, which hold every code point but the surrogates once."""
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    for start in range(0, len(points), 100_000):
        yield [chr(point) for point in points[start : start + 100_000]]


def assert_linear_cost(tokenizer, make, repeats):
    """Ten times the text takes about ten times as long; `make` gives a text of a size.

    A cost that is quadratic would be 100 times. Beyond the caches of a slow processor linear ones
    were up to 18 times.
    """
    small, large = make(100_000), make(1_000_000)

    def time_call(text):
        start = time.perf_counter()
        tokenizer.tokenize([text])
        return time.perf_counter() - start

    time_call(small)
    ratios = [time_call(large) / time_call(small) for _ in range(repeats)]
    assert statistics.median(ratios) < 30, ratios


def assert_shapes(tokenizer, text, size):
    """Rows are ragged and one text is dense; `text` has `size` tokens."""
    for rows in tokenizer.tokenize_with_offsets(["a b", ""]):
        assert isinstance(rows, tf.RaggedTensor) and rows.dtype == tf.int32 and rows.shape[0] == 2
    for row in tokenizer.tokenize_with_offsets(text):
        assert isinstance(row, tf.Tensor) and row.shape == (size,) and row.dtype == tf.int32
    rows = tokenizer.tokenize(["a b", ""])
    assert isinstance(rows, tf.RaggedTensor) and rows.dtype == tf.int32
    assert tokenizer.tokenize(text).shape == (size,)
    assert tokenizer.tokenize([]).to_list() == []
    assert [r.to_list() for r in tokenizer.tokenize_with_offsets([])] == [[], [], []]
    assert tokenizer.detokenize(rows).shape == (2,)
    assert tokenizer.detokenize(rows[0]).shape == ()


def assert_saved_says_the_same(tokenizer, tokenize, texts, folder):
    """A graph of `tokenize`, a method of the tokenizer, is saved and gives the same ids."""
    module = tf.Module()
    module.tokenizer = tokenizer
    signature = [tf.TensorSpec([None], tf.string)]
    module.encode = tf.function(tokenize, input_signature=signature)
    tf.saved_model.save(module, str(folder))
    ids = tf.saved_model.load(str(folder)).encode(tf.constant(texts))
    assert ids.to_list() == tokenize(texts).to_list()


def assert_refused(kind, folder, message):
    """A kind of tokenizer does not open a folder, and says so by its name."""
    with pytest.raises(ValueError, match=message) as caught:
        kind.load(folder)
    assert str(folder) in str(caught.value)
