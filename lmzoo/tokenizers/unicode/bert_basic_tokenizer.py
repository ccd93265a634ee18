"""BERT's cleaning of text and its splitting into words, on code points.

Control characters go, white space separates, each Chinese character and each punctuation mark is a
word. Where accents are stripped, text is decomposed (NFD) and its non-spacing marks go; then it is
lowered, character by character. All of this is a table look-up for each code point, but for one
thing: NFD sorts the marks behind a letter, and some of them stay (they are spacing marks, or newer
than the reference's tables). A text with such marks is decomposed and sorted first.
"""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import mark_starts
from lmzoo.tokenizers.unicode.bert_characters import (
    CODE_POINT_BITS,
    IRREGULAR,
    ISOLATED,
    LETTER,
    MOVES,
    make_bert_tables,
    make_decomposition_tables,
    read_combining_classes,
)
from lmzoo.tokenizers.unicode.character_map import CharacterMap

__all__ = ["BertBasicTokenizer"]

_ORDER_BITS = 8


class BertBasicTokenizer(tf.Module):
    """Cleans rows of text and finds their words.

    Args:
        lowercase: bool.
        strip_accents: bool.
        split_chinese: bool. If True, each Chinese character is a word.
    Reference: Devlin et al. 2019, https://arxiv.org/abs/1810.04805; the steps are those of the
    code that was published with it, as Hugging Face `tokenizers` carries them out.
    """

    def __init__(self, lowercase, strip_accents, split_chinese):
        super().__init__(name="bert_splitter")
        self._map = CharacterMap(make_bert_tables(lowercase, strip_accents, split_chinese))
        self._decomposition = None
        if strip_accents:
            self._decomposition = CharacterMap(make_decomposition_tables())
            points = np.flatnonzero(read_combining_classes())
            with tf.init_scope():
                self._orders = tf.lookup.StaticHashTable(
                    tf.lookup.KeyValueTensorInitializer(
                        tf.constant(points, tf.int32),
                        tf.constant(read_combining_classes()[points], tf.int32),
                    ),
                    default_value=0,
                )

    def split(self, text):
        """Splits each row.

        Args:
            text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
        Returns:
            code_points: int32 (n,). Of all words, cleaned.
            word_splits: int64 (W + 1,). Where each word begins in `code_points`, and n.
            row_words: int64 (B + 1,). How many words stand before each row, and W.
            sources: int32 (n,). Which of the text's code points each one was.
            row_starts: int64 (B,). How many code points of the text stand before each row.
        """
        row_splits, code_points = tf.raw_ops.UnicodeDecode(
            input=text, input_encoding="UTF-8", errors="replace"
        )
        row_starts = row_splits[:-1]
        entries, row_splits, sources = self._clean(code_points, row_splits)
        letters = entries >= LETTER
        follows = tf.concat([[False], letters[:-1]], 0) & ~mark_starts(row_splits)
        # (m,) -> (n,): white space goes.
        kept = tf.where(entries >= ISOLATED)[:, 0]
        begins = tf.gather(~(letters & follows), kept)
        starts = tf.where(begins)[:, 0]
        row_words = tf.searchsorted(tf.gather(kept, starts), row_splits, out_type=tf.int64)
        word_splits = tf.concat([starts, [tf.size(kept, tf.int64)]], 0)
        cleaned = tf.bitwise.bitwise_and(tf.gather(entries, kept), (1 << CODE_POINT_BITS) - 1)
        return cleaned, word_splits, row_words, tf.gather(sources, kept), row_starts

    def _clean(self, code_points, row_splits):
        """The regular entries, where rows begin in them, and their sources."""
        entries = self._map.look_up(code_points)
        highest = tf.reduce_max(entries)
        state = entries, row_splits, tf.range(tf.size(code_points))
        if self._decomposition is not None:
            state = tf.cond(
                highest >= MOVES,
                lambda: self._sort_marks(code_points, row_splits),
                lambda: state,
            )
        return tf.cond(highest >= IRREGULAR, lambda: self._expand(self._map, *state), lambda: state)

    def _expand(self, tables, entries, row_splits, sources):
        entries, row_splits, index = tables.expand(entries, row_splits)
        return entries, row_splits, tf.gather(sources, index)

    def _sort_marks(self, code_points, row_splits):
        """Decomposes the text and sorts its marks as NFD does."""
        entries = self._decomposition.look_up(code_points)
        points, row_splits, index = self._decomposition.expand(entries, row_splits)
        orders = tf.cast(self._orders.lookup(points), tf.int64)
        groups = tf.cumsum(tf.cast((orders == 0) | mark_starts(row_splits), tf.int64))
        places = tf.argsort(groups * (1 << _ORDER_BITS) + orders, stable=True)
        # The reference counts what it sorted anew: a first part takes the next source, a further
        # part stays with the source before it, wherever the two have gone.
        first = tf.concat([[True], index[1:] != index[:-1]], 0)
        counted = tf.cumsum(tf.cast(tf.gather(first, places), tf.int32)) - 1
        used = tf.boolean_mask(index, first)
        points = tf.gather(points, places)
        return self._map.look_up(points), row_splits, tf.gather(used, counted)
