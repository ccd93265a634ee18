"""WordPiece encoding of rows of text, in one graph that does not depend on the batch."""

import tensorflow as tf

from lmzoo.tokenizers.graphs import Encoder
from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder
from lmzoo.tokenizers.unicode.bert_basic_tokenizer import BertBasicTokenizer
from lmzoo.tokenizers.word_piece.longest_match import LongestMatcher

__all__ = ["WordPieceEncoder"]

_UNKNOWN = -1


class WordPieceEncoder(Encoder):
    """Turns text into ids; its tables never change once they are built.

    Args:
        vocabulary: WordPieceVocabulary.
        unknown_id: int. The id of a word that the pieces do not make.
        max_word_characters: int. Longer words are unknown.
        cleaning: dict of the arguments of `BertBasicTokenizer`.
    """

    def __init__(self, vocabulary, unknown_id, max_word_characters, cleaning):
        super().__init__(name="word_piece_encoder")
        whole = {
            token: index
            for token, index in vocabulary.first_pieces.items()
            if len(token) <= max_word_characters
        }
        special = {token: vocabulary.ids[token] for token in vocabulary.special_tokens}
        with tf.init_scope(), tf.device("/CPU:0"):
            self._splitter = BertBasicTokenizer(**cleaning)
            self._matcher = LongestMatcher(
                vocabulary.first_pieces, vocabulary.further_pieces, unknown_id, max_word_characters
            )
            # Most words are one piece: one look-up each. (No word is empty, so "" is no word.)
            self._whole_words = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant([token.encode() for token in [*whole, ""]]),
                    tf.constant([*whole.values(), _UNKNOWN], tf.int32),
                ),
                _UNKNOWN,
            )
            self._special = SpecialTokenFinder(special) if special else None

    def _encode_with_offsets(self, text):
        points, word_splits, row_words, sources, row_starts = self._splitter.split(text)
        pieces = self._encode_words(points, word_splits)
        splits = tf.gather(pieces.row_splits, row_words)
        # From a place in the word to one in `points`, in the text, and in the row.
        words = tf.gather(word_splits, find_segments(pieces.row_splits))
        rows = tf.cast(tf.gather(row_starts, find_segments(splits)), tf.int32)
        ids, starts, ends = tf.unstack(pieces.values, axis=1)
        starts = tf.gather(sources, tf.cast(words, tf.int32) + starts) - rows
        ends = tf.gather(sources, tf.cast(words, tf.int32) + ends - 1) + 1 - rows
        return tuple(
            tf.RaggedTensor.from_row_splits(column, splits, validate=False)
            for column in (ids, starts, ends)
        )

    def _encode(self, text):
        points, word_splits, row_words, *_ = self._splitter.split(text)
        pieces = self._encode_words(points, word_splits)
        splits = tf.gather(pieces.row_splits, row_words)
        return tf.RaggedTensor.from_row_splits(pieces.values[:, 0], splits, validate=False)

    def _encode_words(self, points, word_splits):
        """The pieces of each word: ragged int32 (W, None, 3) of id, start and end."""
        words = tf.raw_ops.UnicodeEncode(
            input_values=points, input_splits=word_splits, output_encoding="UTF-8"
        )
        ids = self._whole_words.lookup(words)
        others = tf.where(ids == _UNKNOWN)
        distinct, index = tf.unique(tf.gather(words, others[:, 0]))
        *matched, splits = self._matcher.match(distinct)
        lengths = tf.cast(word_splits[1:] - word_splits[:-1], tf.int32)
        # (distinct + W, None, 3): the words that were cut, then each word as its one piece.
        choices = tf.RaggedTensor.from_row_splits(
            tf.concat([tf.stack(matched, 1), tf.stack([ids, tf.zeros_like(ids), lengths], 1)], 0),
            tf.concat([splits, splits[-1] + tf.range(1, tf.size(ids, tf.int64) + 1)], 0),
            validate=False,
        )
        choice = tf.tensor_scatter_nd_update(
            tf.range(tf.size(words)) + tf.size(distinct), others, index
        )
        return tf.gather(choices, choice)
