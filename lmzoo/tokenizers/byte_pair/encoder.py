"""Byte-pair encoding of rows of text, in one graph that does not depend on the batch."""

import tensorflow as tf

from lmzoo.tokenizers.byte_pair.merging import MergeRules, PairMerger
from lmzoo.tokenizers.graphs import Encoder
from lmzoo.tokenizers.ragged_rows import decode_utf8, encode_utf8, find_segments
from lmzoo.tokenizers.special_tokens import NOT_A_TOKEN, STRIPPED, join_tokens
from lmzoo.tokenizers.unicode.nfc import NFCNormalizer
from lmzoo.tokenizers.unicode.split_patterns import make_splitter

__all__ = ["BytePairEncoder"]

_UNKNOWN = -1


class BytePairEncoder(Encoder):
    """Turns text into ids; its tables never change once they are built.

    Args:
        vocabulary: BytePairVocabulary.
        lstrip, rstrip: tuple of str. The special tokens that match the white space before them, or
            behind them, too.
        pattern: str. The pre-tokenization, a key of `PATTERNS`.
        ignore_merges: bool. If True, a word that is a token is that token, whatever merges make.
        normalize_nfc: bool. If True, text is normalized to NFC first.
        add_prefix_space: bool. If True, a space is put before text that does not begin with one.
        unknown_id: int or None. The id of a byte that the vocabulary does not have; if None, such a
            byte is left out.
    """

    def __init__(
        self,
        vocabulary,
        lstrip=(),
        rstrip=(),
        pattern="gpt2",
        ignore_merges=False,
        normalize_nfc=False,
        add_prefix_space=False,
        unknown_id=None,
    ):
        super().__init__(name="byte_pair_encoder")
        pieces = vocabulary.pieces
        ids = {piece: index for index, piece in enumerate(pieces) if piece is not None}
        unknown = _UNKNOWN if unknown_id is None else unknown_id
        byte_ids = [ids.get(bytes([byte]), unknown) for byte in range(256)]
        rules = MergeRules.build(vocabulary.rules, pieces)
        self._add_prefix_space = add_prefix_space
        with tf.init_scope(), tf.device("/CPU:0"):
            self._splitter = make_splitter(pattern)
            self._nfc = NFCNormalizer() if normalize_nfc else None
            self._merger = PairMerger(rules, byte_ids, len(pieces))
            self._whole_words = self._find_whole_words(ids, ignore_merges)
            texts = self._make_finders(vocabulary, lstrip, rstrip)
            self._strips_added = any(
                token.lstrip or token.rstrip for token in vocabulary.added_tokens
            )
            known = [byte_id != _UNKNOWN for byte_id in byte_ids]
            self._is_known = None if all(known) else tf.constant(known)
            # (2, V, 3): the number of bytes of each token, and how many spaces lead and trail
            # them; where the model makes it, and where it was found as an added token.
            made = [piece or b"" for piece in pieces]
            if unknown_id is not None:
                made[unknown_id] = b"?"
            found = [texts.get(index, b"") for index in range(len(pieces))]
            self._lengths = tf.constant([_count_bytes(made), _count_bytes(found)], tf.int32)

    def _find_whole_words(self, ids, ignore_merges):
        """A table of the words that become one token: most of a text, and one look-up each."""
        words, expected = tf.constant(list(ids)), tf.constant(list(ids.values()), tf.int32)
        if not ignore_merges:
            values, splits = self._merger.merge(words)
            # A rule can keep another from ever making its token, so each one is tried.
            whole = tf.where(splits[1:] - splits[:-1] == 1)[:, 0]
            made = tf.gather(values, tf.gather(splits[:-1], whole))
            whole = tf.boolean_mask(whole, made == tf.gather(expected, whole))
            words, expected = tf.gather(words, whole), tf.gather(expected, whole)
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(words, expected), _UNKNOWN
        )

    def _encode_with_offsets(self, text):
        text, token_ids, row_pieces = self._split_at_raw(text)
        splits, points = decode_utf8(text)
        row_starts, size = tf.gather(splits, row_pieces), splits[-1]
        sources = tf.range(tf.size(points))
        if self._nfc:
            points, splits, sources = self._nfc.normalize(points, splits)
        if self._normalized_added:
            text = encode_utf8(points, splits)
            text, token_ids, row_pieces, _ = self._split_at_normalized(text, token_ids, row_pieces)
            splits, points = decode_utf8(text)
        if self._add_prefix_space:
            points, splits, order = _add_spaces(points, splits, token_ids == NOT_A_TOKEN)
            sources = tf.gather(sources, order)
        ids = self._encode_points(splits, points)
        is_found = join_tokens(
            row_pieces,
            token_ids,
            ids.with_values(tf.zeros_like(ids.values)),
            tf.ones_like(token_ids),
        )
        ids = join_tokens(row_pieces, token_ids, ids)
        characters = self._find_characters(points, splits, token_ids)
        # The tokens of all rows are all of these bytes, in this order.
        lengths = tf.gather_nd(self._lengths, tf.stack([is_found.values, ids.values], 1))
        lengths, leading, trailing = tf.unstack(lengths, axis=1)
        byte_ends = tf.cumsum(lengths)
        starts = tf.gather(characters, byte_ends - lengths)
        ends = tf.gather(characters, byte_ends - 1) + 1
        starts = tf.minimum(starts + leading, ends)
        ends = tf.maximum(ends - trailing, starts)
        starts, ends = _find_sources(sources, size, starts, ends)
        before = tf.cast(tf.gather(row_starts, find_segments(ids.row_splits)), tf.int32)
        return ids, ids.with_values(starts - before), ids.with_values(ends - before)

    def _find_characters(self, points, splits, token_ids):
        """The character of each byte that a token stands for, int32 (bytes,)."""
        sizes = 1 + sum(tf.cast(points >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000))
        characters = find_segments(tf.concat([[0], tf.cumsum(sizes)], 0))
        if self._is_known is None and not self._strips_added:
            return characters
        token_ids = tf.gather(tf.gather(token_ids, find_segments(splits)), characters)
        is_kept = token_ids != STRIPPED
        if self._is_known is not None:
            data = tf.io.decode_raw(tf.strings.reduce_join(encode_utf8(points, splits)), tf.uint8)
            known = tf.gather(self._is_known, tf.cast(data, tf.int32))
            is_kept &= known | (token_ids != NOT_A_TOKEN)
        return tf.boolean_mask(characters, is_kept)

    def _normalize(self, text):
        if not self._nfc:
            return text
        row_splits, points = decode_utf8(text)
        points, row_splits, _ = self._nfc.normalize(points, row_splits)
        return encode_utf8(points, row_splits)

    def _encode_text(self, text):
        if self._normalized_added:
            return self._encode_between(text)
        row_splits, points = decode_utf8(text)
        if self._nfc:
            points, row_splits, _ = self._nfc.normalize(points, row_splits)
        return self._encode_pieces(row_splits, points)

    def _encode_normalized(self, text):
        return self._encode_pieces(*decode_utf8(text))

    def _encode_pieces(self, row_splits, points):
        if self._add_prefix_space:
            points, row_splits, _ = _add_spaces(points, row_splits, True)
        return self._encode_points(row_splits, points)

    def _encode_points(self, row_splits, points):
        word_splits, row_words = self._splitter.split(points, row_splits)
        ids = self._encode_words(encode_utf8(points, word_splits))
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


def _count_bytes(texts):
    return [
        (len(text), len(text) - len(text.lstrip(b" ")), len(text) - len(text.rstrip(b" ")))
        for text in texts
    ]


def _add_spaces(points, splits, is_text):
    """Puts a space before each row that has characters and does not begin with a space.

    Args:
        points: int32 (n,).
        splits: int64 (P + 1,).
        is_text: bool (P,), or True. Which rows may get one.
    Returns:
        points: int32 (m,).
        splits: int64 (P + 1,).
        order: int32 (m,). The index of each one in the given `points`; that of the next one for a
            space that was put in.
    """
    # One more element, so that the start of an empty last row can be looked up.
    first = tf.gather(tf.concat([points, [0]], 0), splits[:-1])
    wanted = is_text & (splits[1:] > splits[:-1]) & (first != ord(" "))
    added = tf.cumsum(tf.cast(wanted, tf.int64))
    moved = tf.range(tf.size(points, tf.int64)) + tf.gather(added, find_segments(splits))
    size = tf.size(points, tf.int64) + tf.reduce_sum(tf.cast(wanted, tf.int64))
    given = tf.scatter_nd(moved[:, None], tf.ones_like(moved, tf.int32), [size])
    order = tf.cumsum(given, exclusive=True)
    points = tf.where(given > 0, tf.gather(points, order), ord(" "))
    return points, splits + tf.concat([[0], added], 0), order


def _find_sources(sources, size, starts, ends):
    """Turns offsets in normalized text into offsets in the raw text, both int32 (n,).

    Args:
        sources: int32 (m,). The offset at which each normalized character begins.
        size: int64. The number of characters of the raw text.
        starts, ends: int32 (n,).
    """
    sources = tf.concat([sources, [tf.cast(size, tf.int32)]], 0)
    first, last = tf.gather(sources, starts), tf.gather(sources, tf.maximum(ends - 1, 0))
    # All parts of a character that was decomposed have its offset.
    stop = tf.maximum(tf.gather(sources, ends), last + 1)
    return first, tf.where(ends > starts, stop, first)
