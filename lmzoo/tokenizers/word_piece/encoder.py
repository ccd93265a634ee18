"""WordPiece encoding of rows of text, in one graph that does not depend on the batch."""

import tensorflow as tf

from lmzoo.tokenizers.graphs import Encoder
from lmzoo.tokenizers.ragged_rows import decode_utf8, encode_utf8, find_segments
from lmzoo.tokenizers.special_tokens import NOT_A_TOKEN, join_tokens
from lmzoo.tokenizers.unicode.bert_basic_tokenizer import BertBasicTokenizer, WhitespaceTokenizer
from lmzoo.tokenizers.word_piece.longest_match import LongestMatcher

__all__ = ["WordPieceEncoder"]

_UNKNOWN = -1
_SPLITTERS = {"bert": BertBasicTokenizer, "whitespace": WhitespaceTokenizer}


class WordPieceEncoder(Encoder):
    """Turns text into ids; its tables never change once they are built.

    Args:
        vocabulary: WordPieceVocabulary.
        unknown_id: int. The id of a word that the tokens do not make.
        max_word_characters: int. Longer words are unknown.
        pre_tokenizer: str. "bert" or "whitespace".
        normalizer: dict of the arguments of `BertBasicTokenizer` or `WhitespaceTokenizer`.
    """

    def __init__(self, vocabulary, unknown_id, max_word_characters, pre_tokenizer, normalizer):
        super().__init__(name="word_piece_encoder")
        whole = {
            token: index
            for token, index in vocabulary.initial_tokens.items()
            if len(token) <= max_word_characters
        }
        two_steps = any(token.normalized for token in vocabulary.added_tokens)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._splitter = _SPLITTERS[pre_tokenizer](**normalizer, two_steps=two_steps)
            self._matcher = LongestMatcher(
                vocabulary.initial_tokens,
                vocabulary.continuing_tokens,
                unknown_id,
                max_word_characters,
            )
            # Most words are one token: one look-up each. (No word is empty, so "" is no word.)
            self._whole_words = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant([token.encode() for token in [*whole, ""]]),
                    tf.constant([*whole.values(), _UNKNOWN], tf.int32),
                ),
                _UNKNOWN,
            )
            self._make_finders(vocabulary)

    def _encode_with_offsets(self, text):
        pieces, token_ids, row_pieces = self._split_at_raw(text)
        raw_splits, _ = decode_utf8(pieces)
        row_starts = tf.cast(tf.gather(raw_splits, row_pieces[:-1]), tf.int32)
        if self._normalized_added:
            *split, token_ids, row_pieces, spans = self._split_normalized_pieces(
                pieces, raw_splits, token_ids, row_pieces
            )
        else:
            *split, _ = self._splitter.split(pieces)
            spans = tf.cast(raw_splits[:-1], tf.int32), tf.cast(raw_splits[1:], tf.int32)
        points, word_splits, piece_words, sources = split
        found = self._encode_words(points, word_splits)
        splits = tf.gather(found.row_splits, piece_words)
        # From an offset in the word to one in `points`, in the raw text, and in the row.
        words = tf.cast(tf.gather(word_splits, find_segments(found.row_splits)), tf.int32)
        ids, starts, ends = tf.unstack(found.values, axis=1)
        starts, ends = tf.gather(sources, words + starts), tf.gather(sources, words + ends - 1) + 1
        columns = [
            tf.RaggedTensor.from_row_splits(column, splits, validate=False)
            for column in (ids, starts, ends)
        ]
        ids, starts, ends = (
            join_tokens(row_pieces, token_ids, column, values)
            for column, values in zip(columns, (token_ids, *spans), strict=True)
        )
        before = tf.gather(row_starts, find_segments(ids.row_splits))
        return (
            ids,
            starts.with_values(starts.values - before),
            ends.with_values(ends.values - before),
        )

    def _split_normalized_pieces(self, pieces, raw_splits, token_ids, row_pieces):
        """Splits normalized pieces at the added tokens in them, and what lies between into words.

        Args:
            pieces, token_ids, row_pieces: as `_split_at_raw` gives them.
            raw_splits: int64 (P + 1,). Their boundaries in the raw text.
        Returns:
            points, word_splits, piece_words, sources: as `BertBasicTokenizer.split`.
            token_ids, row_pieces: as `_split_at_normalized`.
            spans: two int32 (Q,). Where each piece begins and ends in the raw text.
        """
        points, splits, sources = self._splitter.normalize(pieces)
        is_token = token_ids != NOT_A_TOKEN
        pieces, token_ids, row_pieces, owners = self._split_at_normalized(
            encode_utf8(points, splits), token_ids, row_pieces
        )
        piece_splits, _ = decode_utf8(pieces)
        # One more element, for pieces that are empty.
        padded = tf.concat([sources, [0]], 0)
        starts = tf.gather(padded, piece_splits[:-1])
        ends = tf.gather(padded, tf.maximum(piece_splits[1:] - 1, 0)) + 1
        # A token of the raw text has its span there.
        is_raw = tf.gather(is_token, owners)
        raw_splits = tf.cast(raw_splits, tf.int32)
        starts = tf.where(is_raw, tf.gather(raw_splits, owners), starts)
        ends = tf.where(is_raw, tf.gather(raw_splits, owners + 1), ends)
        points, word_splits, piece_words, index = self._splitter.split_normalized(
            points, piece_splits
        )
        split = points, word_splits, piece_words, tf.gather(sources, index)
        return *split, token_ids, row_pieces, (starts, ends)

    def _normalize(self, text):
        points, row_splits, _ = self._splitter.normalize(text)
        return encode_utf8(points, row_splits)

    def _encode_text(self, text):
        if self._normalized_added:
            return self._encode_between(text)
        points, word_splits, row_words, *_ = self._splitter.split(text)
        return self._encode_rows(points, word_splits, row_words)

    def _encode_normalized(self, text):
        row_splits, points = decode_utf8(text)
        points, word_splits, row_words, _ = self._splitter.split_normalized(points, row_splits)
        return self._encode_rows(points, word_splits, row_words)

    def _encode_rows(self, points, word_splits, row_words):
        found = self._encode_words(points, word_splits)
        splits = tf.gather(found.row_splits, row_words)
        return tf.RaggedTensor.from_row_splits(found.values[:, 0], splits, validate=False)

    def _encode_words(self, points, word_splits):
        """The tokens of each word: ragged int32 (W, None, 3) of id, start and end."""
        words = encode_utf8(points, word_splits)
        ids = self._whole_words.lookup(words)
        others = tf.where(ids == _UNKNOWN)
        distinct, index = tf.unique(tf.gather(words, others[:, 0]))
        *matched, splits = self._matcher.match(distinct)
        lengths = tf.cast(word_splits[1:] - word_splits[:-1], tf.int32)
        # (distinct + W, None, 3): the words that were matched, then each word as its one token.
        choices = tf.RaggedTensor.from_row_splits(
            tf.concat([tf.stack(matched, 1), tf.stack([ids, tf.zeros_like(ids), lengths], 1)], 0),
            tf.concat([splits, splits[-1] + tf.range(1, tf.size(ids, tf.int64) + 1)], 0),
            validate=False,
        )
        choice = tf.tensor_scatter_nd_update(
            tf.range(tf.size(words)) + tf.size(distinct), others, index
        )
        return tf.gather(choices, choice)
