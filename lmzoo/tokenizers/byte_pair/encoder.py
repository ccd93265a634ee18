"""Byte-pair encoding of rows of text, in one graph that does not depend on the batch."""

import unicodedata

import tensorflow as tf

from lmzoo.tokenizers.byte_pair.merge_table import MergeRules
from lmzoo.tokenizers.byte_pair.merging import PairMerger
from lmzoo.tokenizers.graphs import Encoder
from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder
from lmzoo.tokenizers.unicode.nfc import NFCNormalizer
from lmzoo.tokenizers.unicode.split_patterns import make_splitter

__all__ = ["BytePairEncoder"]

_UNKNOWN = -1


class BytePairEncoder(Encoder):
    """Turns text into ids; its tables never change once they are built.

    Args:
        vocabulary: BytePairVocabulary.
        lstrip: tuple of str. The special tokens that take the white space before them.
        pattern: str. What splits text into words, a key of `PATTERNS`.
        ignore_merges: bool. If True, a word that is a token is that token, whatever merges make.
        normalize_nfc: bool. If True, text is composed (NFC) first.
        visible_tokens: tuple of str. The special tokens that text makes.
    """

    def __init__(
        self,
        vocabulary,
        lstrip=(),
        pattern="gpt2",
        ignore_merges=False,
        normalize_nfc=False,
        visible_tokens=(),
    ):
        super().__init__(name="byte_pair_encoder")
        pieces = vocabulary.pieces
        ids = {piece: index for index, piece in enumerate(pieces) if piece is not None}
        byte_ids = [ids[bytes([byte])] for byte in range(256)]
        rules = MergeRules.build(vocabulary.rules, pieces)
        visible = {token: vocabulary.ids[token] for token in visible_tokens}
        plain = [piece or b"" for piece in pieces]
        for token, index in visible.items():
            plain[index] = (
                unicodedata.normalize("NFC", token) if normalize_nfc else token
            ).encode()
        with tf.init_scope(), tf.device("/CPU:0"):
            self._splitter = make_splitter(pattern)
            self._nfc = NFCNormalizer() if normalize_nfc else None
            self._merger = PairMerger(rules, byte_ids, len(pieces))
            self._whole_words = self._find_whole_words(ids, ignore_merges)
            special = {token: vocabulary.ids[token] for token in vocabulary.special_tokens}
            self._special = SpecialTokenFinder(special, lstrip) if special else None
            self._visible = SpecialTokenFinder(visible) if visible else None
            # (V, 3): bytes of each token, and how many spaces lead and trail them.
            self._lengths = tf.constant(
                [
                    (len(p), len(p) - len(p.lstrip(b" ")), len(p) - len(p.rstrip(b" ")))
                    for p in plain
                ],
                tf.int32,
            )

    def _find_whole_words(self, ids, ignore_merges):
        """A table of the words that become one token: most of a text, and one look-up each."""
        words, expected = tf.constant(list(ids)), tf.constant(list(ids.values()), tf.int32)
        if not ignore_merges:
            values, splits = self._merger.merge(words)
            # A rule can keep another from ever making its token, so each one is tried.
            whole = splits[1:] - splits[:-1] == 1
            whole &= tf.gather(values, splits[:-1]) == expected
            words, expected = words[whole], expected[whole]
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(words, expected), _UNKNOWN
        )

    def _encode_with_offsets(self, text):
        if self._visible:
            pieces, visible_ids = self._visible.split(text)
            piece_splits, points = _decode(pieces.values)
            given_splits = tf.gather(piece_splits, pieces.row_splits)
        else:
            given_splits, points = _decode(text)
            piece_splits = given_splits
        if self._nfc:
            points, piece_splits, sources = self._nfc.normalize(points, piece_splits)
        ids = self._encode_points(piece_splits, points)
        if self._visible:
            ids = self._visible.join(pieces.row_splits, visible_ids, ids)
        # The tokens of all rows are all of their bytes, in this order.
        lengths, leading, trailing = tf.unstack(tf.gather(self._lengths, ids.values), axis=1)
        sizes = 1 + sum(tf.cast(points >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000))
        characters = find_segments(tf.concat([[0], tf.cumsum(sizes)], 0))
        byte_ends = tf.cumsum(lengths)
        starts = tf.gather(characters, byte_ends - lengths)
        ends = tf.gather(characters, byte_ends - 1) + 1
        starts = tf.minimum(starts + leading, ends)
        ends = tf.maximum(ends - trailing, starts)
        if self._nfc:
            starts, ends = _find_sources(sources, given_splits[-1], starts, ends)
        before = tf.gather(given_splits, find_segments(ids.row_splits))
        before = tf.cast(before, tf.int32)
        return ids, ids.with_values(starts - before), ids.with_values(ends - before)

    def _encode(self, text):
        if self._visible:
            return self._visible.encode(text, self._encode_plain)
        return self._encode_plain(text)

    def _encode_plain(self, text):
        row_splits, points = _decode(text)
        if self._nfc:
            points, row_splits, _ = self._nfc.normalize(points, row_splits)
        return self._encode_points(row_splits, points)

    def _encode_points(self, row_splits, code_points):
        word_splits, row_words = self._splitter.split(code_points, row_splits)
        words = tf.raw_ops.UnicodeEncode(
            input_values=code_points, input_splits=word_splits, output_encoding="UTF-8"
        )
        ids = self._encode_words(words)
        return tf.RaggedTensor.from_row_splits(
            ids.values, tf.gather(ids.row_splits, row_words), validate=False
        )

    def _encode_words(self, words):
        """The ids of each word: one look-up, and merging of the distinct ones it does not find."""
        ids = self._whole_words.lookup(words)
        others = tf.where(ids == _UNKNOWN)
        distinct, index = tf.unique(tf.gather(words, others[:, 0]))
        values, splits = self._merger.merge(distinct)
        # (distinct + W, None): the words that were merged, then each word as its one token.
        choices = tf.RaggedTensor.from_row_splits(
            tf.concat([values, ids], 0),
            tf.concat([splits, splits[-1] + tf.range(1, tf.size(ids, tf.int64) + 1)], 0),
            validate=False,
        )
        choice = tf.tensor_scatter_nd_update(
            tf.range(tf.size(words)) + tf.size(distinct), others, index
        )
        return tf.gather(choices, choice)


def _decode(text):
    """Where each row begins in the code points of all rows, and these."""
    return tf.raw_ops.UnicodeDecode(input=text, input_encoding="UTF-8", errors="replace")


def _find_sources(sources, size, starts, ends):
    """Turns places in composed text into places in the text it was, both int32 (n,).

    Args:
        sources: int32 (m,). Where each composed character begins.
        size: int64. How many characters the text had.
        starts, ends: int32 (n,).
    """
    sources = tf.concat([sources, [tf.cast(size, tf.int32)]], 0)
    first, last = tf.gather(sources, starts), tf.gather(sources, tf.maximum(ends - 1, 0))
    # All parts of a character that fell apart have its place.
    stop = tf.maximum(tf.gather(sources, ends), last + 1)
    return first, tf.where(ends > starts, stop, first)
