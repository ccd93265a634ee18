import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import Cleaning, causal_lm, make_rows, masked_lm
from lmzoo.data.objectives.datasets import ReadOptions
from lmzoo.data.objectives.text_sources import open_stream, read_texts
from tests.data.byte_tokenizer import ByteTokenizer
from tests.data.small_tokenizers import make_word_piece

END = 256
TEXTS = ["one", "two é", " \n", "", "three"]


def sources(texts):
    """The same texts in each form that is held in memory."""
    return {
        "rows": make_rows(text=texts),
        "strings": tf.data.Dataset.from_tensor_slices(texts),
        "batches": tf.data.Dataset.from_tensor_slices(texts).batch(2),
    }


every_source = pytest.mark.parametrize("name", sources(TEXTS))


@every_source
def test_texts_in_memory_give_the_tokens_of_a_file_and_a_last_end_token(tmp_path, name):
    paths = [tmp_path / f"{number}.txt" for number in range(len(TEXTS))]
    for path, text in zip(paths, TEXTS, strict=True):
        path.write_text(text or " ")
    tokenizer = ByteTokenizer()
    from_files = open_stream(paths, tokenizer, ReadOptions())
    stream = open_stream(sources(TEXTS)[name], tokenizer, ReadOptions())
    assert stream.token_ids.tolist() == [*from_files.token_ids.tolist(), END]
    assert stream.starts.tolist() == [*from_files.starts.tolist(), len(stream) - 1]
    assert stream.token_ids.dtype == from_files.token_ids.dtype and stream.folder is None


@every_source
def test_a_dataset_of_text_in_memory_is_that_of_its_stream(name):
    texts = [f"document {number}" for number in range(30)]
    data = causal_lm(sources(texts)[name], ByteTokenizer(), 16, 2, shuffle=False)
    labels = np.concatenate([labels.numpy().reshape(-1) for _, labels in data])
    expected = [token for text in texts for token in (END, *text.encode())]
    assert labels.tolist() == expected[1 : len(labels) + 1]
    assert len(expected) - len(labels) <= 2 * 16


def test_a_split_of_text_in_memory_shares_no_document(cache_home):
    texts = [f"<{number}>" for number in range(200)]
    training, validation = causal_lm(
        make_rows(text=texts), ByteTokenizer(), 16, 2, validation_split=0.2
    )
    found = []
    for part in (training, validation):
        labels = b"".join(
            bytes(row[row < END].tolist()) + b"|" for _, batch in part for row in batch.numpy()
        )
        found.append({text for text in texts if text.encode() in labels})
    assert len(found[0]) > 100 and len(found[1]) > 20 and not found[0] & found[1]
    assert not cache_home.exists()


def test_text_in_memory_is_cleaned_too():
    clean = Cleaning(strip_html=True, deduplicate=True)
    rows = make_rows(body=["<b>a</b>", "a", "<br>", "b"])
    stream = open_stream(rows, ByteTokenizer(), ReadOptions(field="body", clean=clean))
    assert stream.token_ids.tolist() == [END, ord("a"), END, ord("b"), END]


def test_other_objectives_read_text_in_memory():
    rows = make_rows(text=["w1 w2 w3 w4 w5"] * 20)
    data = masked_lm(rows, make_word_piece(), sequence_length=10, batch_size=2)
    assert next(iter(data))[0]["token_ids"].shape == (2, 10)


def test_bytes_that_are_not_utf8_are_replaced_as_in_files():
    assert list(read_texts(tf.data.Dataset.from_tensors(b"a\xff"))) == ["a\ufffd"]


@pytest.mark.parametrize(
    ("source", "error", "reason"),
    [
        (make_rows(body=["a"]), ValueError, r"`field` must be .*field='text', columns=\('body',\)"),
        (make_rows(text=[1]), TypeError, "index 0: `text` must be a string. Received: 1"),
        (tf.data.Dataset.range(3), TypeError, r"must have strings \(\) or \(B,\). .*int64"),
        (tf.data.Dataset.from_tensors([["a"]]), TypeError, r"Received: .*shape=\(1, 1\)"),
        (tf.data.Dataset.from_tensors(("a", "b")), TypeError, "must have strings"),
        (tf.data.Dataset.from_tensors("a").repeat(), ValueError, "must be finite. .*`repeat"),
        (["a", 3], TypeError, "3 at index 1"),
        (["\ud800"], ValueError, "lone surrogate"),
        ([" ", ""], ValueError, "must be some text. Received: 0 texts"),
    ],
)
def test_a_source_of_another_kind_is_refused(source, error, reason):
    with pytest.raises(error, match=reason):
        open_stream(source, ByteTokenizer(), ReadOptions(), is_text=True)


def test_a_separator_beside_text_in_memory_is_refused():
    with pytest.raises(ValueError, match="Received: document_separator=';'"):
        causal_lm(make_rows(text=["a"]), ByteTokenizer(), 1, 1, document_separator=";")
