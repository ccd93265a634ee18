"""Where the text of a dataset comes from: files, `Rows`, a dataset of strings, or a list."""

import tempfile

import tensorflow as tf

from lmzoo.data.checks import describe_value
from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.data.corpus.documents import Corpus, clean_texts
from lmzoo.data.corpus.token_stream import stream_tokens, tokenize_texts
from lmzoo.data.rows.rows import Rows
from lmzoo.data.rows.texts import list_texts

__all__ = ["holds_texts", "open_stream", "read_texts"]


def holds_texts(source):
    """Whether a source of `open_stream` is in memory; everything else is a file or files."""
    return isinstance(source, Rows | tf.data.Dataset)


def open_stream(source, tokenizer, reading, is_text=False, add_start=False):
    """Tokenizes a source of text into a TokenStream.

    Args:
        source: paths of files, whose tokens are cached on the disk; or Rows or a tf.data.Dataset of
            strings, whose tokens are kept in memory.
        tokenizer: tokenizer with an end token.
        reading: ReadOptions.
        is_text: bool. If True, a list of str is a list of texts and not of paths.
        add_start: bool. As for `stream_tokens`.
    Returns:
        TokenStream.
    Raises:
        TypeError, ValueError: if the source is none of these, or as `stream_tokens`.
    """
    if not is_text and not holds_texts(source):
        corpus = Corpus(
            source, reading.field, reading.document_separator, reading.clean, reading.limits
        )
        return stream_tokens(corpus, tokenizer, reading.cache_dir, reading.verbose, add_start)
    if reading.document_separator is not None:
        raise ValueError(
            "`document_separator` must be None where each text is a document. Received: "
            f"document_separator={reading.document_separator!r}."
        )
    texts = read_texts(source, reading.field)
    with tempfile.TemporaryDirectory() as folder:
        documents = clean_texts(texts, reading.clean or Cleaning(), folder)
        return tokenize_texts(documents, tokenizer, add_start)


def read_texts(source, field="text"):
    """Reads texts that are in memory, one after the other.

    Args:
        source: Rows with a column `field`, a finite tf.data.Dataset of strings () or (B,), or a
            list, an array or an eager tensor of strings.
        field: str.
    Returns:
        iterable of str. Bytes of a dataset that are not UTF-8 become U+FFFD.
    Raises:
        TypeError: if the source or a text has another type.
        ValueError: if there is no such column, a dataset is infinite, or a text is not Unicode.
    """
    if isinstance(source, Rows):
        if field not in source.columns:
            raise ValueError(
                f"`field` must be a column of the rows. Received: field={field!r}, columns="
                f"{source.columns}."
            )
        return _texts_of_rows(source, field)
    if isinstance(source, tf.data.Dataset):
        spec = source.element_spec
        if getattr(spec, "dtype", None) != tf.string or spec.shape.rank not in (0, 1):
            raise TypeError(
                f"A tf.data.Dataset of texts must have strings () or (B,). Received: {spec}."
            )
        if source.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "A tf.data.Dataset of texts must be finite. Received: an infinite one. Leave "
                "`repeat()` out, or add `take(n)`."
            )
        return _texts_of_dataset(source)
    return list_texts(source)


def _texts_of_rows(rows, field):
    for index, row in enumerate(rows):
        if not isinstance(row[field], str):
            raise TypeError(
                f"{rows.place(index)}: `{field}` must be a string. Received: "
                f"{describe_value(row[field])}."
            )
        yield row[field]


def _texts_of_dataset(dataset):
    for value in dataset.as_numpy_iterator():
        for text in value.tolist() if hasattr(value, "tolist") else [value]:
            yield text.decode("utf-8", errors="replace")
