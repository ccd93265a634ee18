"""BERT's normalizer and pre-tokenizer, on code points.

Control characters are deleted, white space separates, each Chinese character and each punctuation
mark is a word. Where accents are stripped, text is decomposed (NFD) and its non-spacing marks are
deleted. Then it is lowercased, character by character. All of this is one table look-up for each
code point, with one exception: NFD sorts the marks behind a base character, and some of them stay
(they are spacing marks, or newer than the reference's tables). A text with such marks is decomposed
and sorted first.
"""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import decode_utf8, find_segments, mark_starts
from lmzoo.tokenizers.unicode.bert_characters import (
    CODE_POINT_BITS,
    IRREGULAR,
    ISOLATED,
    LETTER,
    MOVES,
    make_bert_tables,
    make_decomposition_tables,
    make_whitespace_tables,
    read_chinese_ranges,
    read_combining_classes,
)
from lmzoo.tokenizers.unicode.character_map import CharacterMap

__all__ = ["BertBasicTokenizer", "WhitespaceTokenizer"]

_ORDER_BITS = 8


class BertBasicTokenizer(tf.Module):
    """Normalizes rows of text and splits them into words.

    Args:
        lowercase: bool.
        strip_accents: bool.
        split_chinese: bool. If True, each Chinese character is a word.
        two_steps: bool. If True, `normalize` and `split_normalized` can be called.
    Reference: Devlin et al. 2019, https://arxiv.org/abs/1810.04805; the steps are those of the
    BasicTokenizer that was published with it, as Hugging Face `tokenizers` carries them out.
    """

    def __init__(self, lowercase, strip_accents, split_chinese, two_steps=False):
        super().__init__(name="bert_basic_tokenizer")
        self._map = CharacterMap(make_bert_tables(lowercase, strip_accents, split_chinese))
        self._classes = self._decomposition = None
        self._chinese = read_chinese_ranges() if split_chinese else []
        if two_steps:
            self._classes = CharacterMap(make_bert_tables(False, False, split_chinese))
        if strip_accents:
            self._decomposition = CharacterMap(make_decomposition_tables())
            classes = read_combining_classes()
            points = np.flatnonzero(classes)
            with tf.init_scope():
                self._combining = tf.lookup.StaticHashTable(
                    tf.lookup.KeyValueTensorInitializer(
                        tf.constant(points, tf.int32), tf.constant(classes[points], tf.int32)
                    ),
                    default_value=0,
                )

    def split(self, text):
        """Normalizes and splits each row.

        Args:
            text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
        Returns:
            code_points: int32 (n,). Of all words, normalized.
            word_splits: int64 (W + 1,). Word boundaries in `code_points`, from 0 to n.
            row_words: int64 (B + 1,). Row boundaries in the words, from 0 to W.
            sources: int32 (n,). The index each code point had in the text of all rows.
            row_starts: int64 (B,). The index in the text of all rows at which each row begins.
        """
        row_splits, code_points = decode_utf8(text)
        row_starts = row_splits[:-1]
        entries, row_splits, sources = self._clean(code_points, row_splits)
        return *_find_words(entries, row_splits, sources), row_starts

    def normalize(self, text):
        """Normalizes each row.

        Args:
            text: as for `split`.
        Returns:
            code_points: int32 (m,). With a space for each white space, and one on both sides of
                each Chinese character.
            row_splits: int64 (B + 1,).
            sources: int32 (m,). As for `split`.
        """
        row_splits, code_points = decode_utf8(text)
        entries, row_splits, sources = self._clean(code_points, row_splits)
        points = tf.bitwise.bitwise_and(entries, (1 << CODE_POINT_BITS) - 1)
        points = tf.where(entries < ISOLATED, ord(" "), points)
        if not self._chinese:
            return points, row_splits, sources
        chinese = tf.zeros_like(points, tf.bool)
        for first, last in self._chinese:
            chinese |= (points >= first) & (points <= last)
        splits = tf.concat([[0], tf.cumsum(tf.where(chinese, 3, 1))], 0)
        index = find_segments(splits)
        middle = tf.range(tf.size(index)) - tf.gather(splits, index) == 1
        is_space = tf.gather(chinese, index) & ~middle
        points = tf.where(is_space, ord(" "), tf.gather(points, index))
        row_splits = tf.cast(tf.gather(splits, row_splits), tf.int64)
        return points, row_splits, tf.gather(sources, index)

    def split_normalized(self, code_points, row_splits):
        """Splits rows of normalized text.

        Args:
            code_points: int32 (m,).
            row_splits: int64 (B + 1,).
        Returns:
            code_points, word_splits, row_words: as `split`.
            sources: int32 (n,). The index each code point had in the given `code_points`.
        """
        entries = self._classes.look_up(code_points)
        return _find_words(entries, row_splits, tf.range(tf.size(entries)))

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
        orders = tf.cast(self._combining.lookup(points), tf.int64)
        groups = tf.cumsum(tf.cast((orders == 0) | mark_starts(row_splits), tf.int64))
        places = tf.argsort(groups * (1 << _ORDER_BITS) + orders, stable=True)
        # The reference counts what it sorted anew: a first part takes the next source, a further
        # part stays with the source before it, wherever the two have gone.
        first = tf.concat([[True], index[1:] != index[:-1]], 0)
        counted = tf.cumsum(tf.cast(tf.gather(first, places), tf.int32)) - 1
        used = tf.boolean_mask(index, first)
        points = tf.gather(points, places)
        return self._map.look_up(points), row_splits, tf.gather(used, counted)


class WhitespaceTokenizer(tf.Module):
    """Normalizes rows of text and splits them at white space, and words from other characters.

    It is NFD, Lowercase and StripAccents with the pre-tokenizer Whitespace of Hugging Face
    `tokenizers`, whose expression is `\\w+|[^\\w\\s]+`.

    Args:
        lowercase: bool.
        strip_accents: bool. If True, text is decomposed (NFD) and all marks are deleted.
        two_steps: bool. If True, `split_normalized` can be called.
    """

    def __init__(self, lowercase, strip_accents, two_steps=False):
        super().__init__(name="whitespace_tokenizer")
        self._map = CharacterMap(make_whitespace_tables(lowercase, strip_accents))
        self._classes = CharacterMap(make_whitespace_tables(False, False)) if two_steps else None

    def split(self, text):
        """Normalizes and splits each row; takes and gives as `BertBasicTokenizer.split`."""
        row_splits, code_points = decode_utf8(text)
        entries, splits, sources = self._map.expand(self._map.look_up(code_points), row_splits)
        return *_find_words(entries, splits, sources, joins_others=True), row_splits[:-1]

    def normalize(self, text):
        """Normalizes each row; takes and gives as `BertBasicTokenizer.normalize`."""
        row_splits, code_points = decode_utf8(text)
        entries, splits, sources = self._map.expand(self._map.look_up(code_points), row_splits)
        return tf.bitwise.bitwise_and(entries, (1 << CODE_POINT_BITS) - 1), splits, sources

    def split_normalized(self, code_points, row_splits):
        """Splits rows of normalized text; as `BertBasicTokenizer.split_normalized`."""
        entries = self._classes.look_up(code_points)
        return _find_words(entries, row_splits, tf.range(tf.size(entries)), joins_others=True)


def _find_words(entries, row_splits, sources, joins_others=False):
    """Leaves out white space; code points, word splits, row words and sources, as `split`.

    Where `joins_others` is True, what is isolated is a word together with its like.
    """
    kinds = tf.bitwise.right_shift(entries, CODE_POINT_BITS)
    before = tf.concat([[0], kinds[:-1]], 0)
    follows = (kinds == before) & ~mark_starts(row_splits)
    if not joins_others:
        follows &= entries >= LETTER
    # (m,) -> (n,)
    kept = tf.where(entries >= ISOLATED)[:, 0]
    starts = tf.where(tf.gather(~follows, kept))[:, 0]
    row_words = tf.searchsorted(tf.gather(kept, starts), row_splits, out_type=tf.int64)
    word_splits = tf.concat([starts, [tf.size(kept, tf.int64)]], 0)
    points = tf.bitwise.bitwise_and(tf.gather(entries, kept), (1 << CODE_POINT_BITS) - 1)
    return points, word_splits, row_words, tf.gather(sources, kept)
