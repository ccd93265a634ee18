"""Byte-pair encoding of rows of text, in one graph that does not depend on the batch."""

import functools

import tensorflow as tf

from lmzoo.tokenizers.merge_rules import MergeRules
from lmzoo.tokenizers.pair_merging import PairMerger
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder
from lmzoo.tokenizers.word_splitting import WordSplitter

__all__ = ["BytePairEncoder"]

_UNKNOWN = -1


class BytePairEncoder(tf.Module):
    """Turns text into ids; its tables never change once they are built.

    Args:
        vocabulary: BytePairVocabulary.
        strip_left: tuple of str. The special tokens that take the white space before them.
    """

    def __init__(self, vocabulary, strip_left=()):
        super().__init__(name="byte_pair_encoder")
        pieces = vocabulary.pieces
        ids = {piece: index for index, piece in enumerate(pieces) if piece is not None}
        byte_ids = [ids[bytes([byte])] for byte in range(256)]
        rules = MergeRules.build(vocabulary.rules, pieces)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._splitter = WordSplitter()
            self._merger = PairMerger(rules, byte_ids, len(pieces))
            self._whole_words = self._find_whole_words(ids)
            self._num_bytes = tf.constant([len(piece or b"") for piece in pieces], tf.int64)
            special = {token: vocabulary.ids[token] for token in vocabulary.special_tokens}
            self._special = SpecialTokenFinder(special, strip_left) if special else None

    def _find_whole_words(self, ids):
        """A table of the words that become one token: most of a text, and one look-up each."""
        words, expected = tf.constant(list(ids)), tf.constant(list(ids.values()), tf.int32)
        values, splits = self._merger.merge(words)
        # A rule can keep another from ever making its token, so each one is tried.
        whole = splits[1:] - splits[:-1] == 1
        whole &= tf.gather(values, splits[:-1]) == expected
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(words[whole], expected[whole]), _UNKNOWN
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, text):
        """Encodes each row; what looks like a special token stays text.

        Args:
            text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            return self._encode(text)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode_with_special(self, text):
        """Encodes each row; special tokens in it become theirs.

        Args:
            text: as for `encode`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            return self._special.encode(text, self._encode)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode_with_offsets(self, text):
        """Encodes each row and says where its tokens stand.

        Args:
            text: as for `encode`.
        Returns:
            ids, starts, ends: three tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            code_points, row_splits = _decode(text)
            ids = self._encode_points(code_points, row_splits)
            starts, ends = self._find_characters(ids.values, code_points)
            row_starts = tf.repeat(row_splits[:-1], ids.row_lengths())
            return ids, *(
                ids.with_values(tf.cast(places - row_starts, tf.int32)) for places in (starts, ends)
            )

    def _find_characters(self, ids, code_points):
        """Where each token begins and ends in `code_points`, int64 (n,); leading space is out."""
        last_of_byte_size = tf.constant([0x7F, 0x7FF, 0xFFFF])
        sizes = 1 + tf.searchsorted(last_of_byte_size, code_points, out_type=tf.int64)
        point_starts = tf.cumsum(sizes, exclusive=True)
        token_ends = tf.cumsum(tf.gather(self._num_bytes, ids))
        token_starts = token_ends - tf.gather(self._num_bytes, ids)
        # A token may be bytes out of the middle of a character: it stands for all of it.
        find = functools.partial(tf.searchsorted, point_starts, side="right", out_type=tf.int64)
        starts, ends = find(token_starts) - 1, find(token_ends - 1)
        is_space = self._splitter.is_space(code_points)
        solid = tf.concat([tf.where(~is_space)[:, 0], [tf.size(code_points, tf.int64)]], 0)
        return tf.minimum(tf.gather(solid, tf.searchsorted(solid, starts)), ends), ends

    def _encode(self, text):
        return self._encode_points(*_decode(text))

    def _encode_points(self, code_points, row_splits):
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
    """The code points of all rows, int32 (n,), and where each row begins, int64 (B + 1,)."""
    row_splits, code_points = tf.raw_ops.UnicodeDecode(
        input=text, input_encoding="UTF-8", errors="replace"
    )
    return code_points, row_splits
