"""SentencePiece encoding of rows of text by tensorflow-text's op, in one graph."""

import dataclasses
import functools
import hashlib
import importlib.util
import pathlib

import tensorflow as tf

from lmzoo.runtime.sentence_piece_file.model import SentencePieceModel
from lmzoo.tokenizers.graphs import Encoder, split_pieces
from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts
from lmzoo.tokenizers.special_tokens import NOT_A_TOKEN, join_tokens

__all__ = ["PREPEND_SCHEMES", "SentencePieceEncoder"]

# Those of Hugging Face's Metaspace.
PREPEND_SCHEMES = ("always", "first", "never")

_WHITE_SPACE = [*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]
_WHITE_SPACE += [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]


class SentencePieceEncoder(Encoder):
    """Turns text into ids; the model never changes once it is built.

    Args:
        vocabulary: SentencePieceVocabulary.
        prepend_scheme: str or None. One of `PREPEND_SCHEMES`, or None for what the model says.
        lstrip, rstrip: tuple of str. The special tokens that match the white space before them, or
            behind them, too.
    """

    def __init__(self, vocabulary, prepend_scheme=None, lstrip=(), rstrip=()):
        super().__init__(name="sentence_piece_encoder")
        self._prepend_scheme = prepend_scheme
        model, size = vocabulary.model, len(vocabulary.model.pieces)
        special = (vocabulary.ids[token] for token in vocabulary.special_tokens)
        hidden = [index for index in special if index < size]
        if prepend_scheme is not None:
            model = dataclasses.replace(model, add_dummy_prefix=False)
        normalizes = model.rules and any(token.normalized for token in vocabulary.added_tokens)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._normalizer = _Normalizer(model.rules) if normalizes else None
            self._make_finders(vocabulary, lstrip, rstrip)
            if normalizes:
                # It sees text that is normalized already.
                model = dataclasses.replace(model, rules=b"")
            self._model = _Model(model.serialize(hidden))

    def encode_around(self, finder, text):
        text, token_ids, row_splits = self._split(_replace_invalid(text), finder)
        return self._encode_pieces(text, token_ids, row_splits)

    def _encode(self, text):
        text = _replace_invalid(text)
        if self._raw_added is None and self._normalized_added is None:
            text, _ = self._prepend_space(text, True)
            return _encode(self._model, text)
        return self._encode_pieces(*self._split(text))

    def _split(self, text, finder=None):
        """Splits rows at the tokens of a finder, then at those of the raw text."""
        count = tf.size(text, tf.int64)
        pieces = text, tf.fill([count], NOT_A_TOKEN), tf.range(count + 1)
        for searched in (finder, self._raw_added):
            if searched is not None:
                pieces = split_pieces(searched, *pieces)[:3]
        return pieces

    def _encode_pieces(self, text, token_ids, row_splits):
        text = self._normalize(text)
        if self._normalized_added is not None:
            pieces = self._split_at_normalized(text, token_ids, row_splits)
            text, token_ids, row_splits, _ = pieces
        text = tf.where(token_ids == NOT_A_TOKEN, text, b"")
        text, _ = self._prepend_space(text, mark_starts(row_splits))
        return join_tokens(row_splits, token_ids, _encode(self._model, text))

    def _normalize(self, text):
        return text if self._normalizer is None else self._normalizer.normalize(text)[0]

    def _prepend_space(self, text, is_first):
        """Puts a space before pieces of text, as the scheme has it.

        Args:
            text: string (P,).
            is_first: bool (P,), or True for all. Whether a piece stands first in its text.
        Returns:
            `text` with spaces, and how many bytes were put before each piece, int64 (P,).
        """
        if self._prepend_scheme not in ("always", "first"):
            return text, tf.zeros_like(text, tf.int64)
        has_space = tf.strings.regex_full_match(text, r"(?s)( |\x{2581}).*") | (text == b"")
        prepends = ~has_space & (is_first if self._prepend_scheme == "first" else True)
        return tf.where(prepends, b" " + text, text), tf.cast(prepends, tf.int64)

    def _encode_with_offsets(self, text):
        text = given = _replace_invalid(text)
        text, token_ids, row_splits = self._split(text)
        # Of each byte of the pieces: the bytes of all rows that it stands for.
        sources = None
        if self._normalizer is not None:
            begins = _count_before(text)
            text, splits, starts, ends = self._normalizer.normalize(text)
            before = tf.gather(begins, find_segments(splits))
            sources = tf.concat([before + starts, [0]], 0), tf.concat([before + ends, [0]], 0)
        if self._normalized_added is not None:
            pieces = self._split_at_normalized(text, token_ids, row_splits)
            text, token_ids, row_splits, _ = pieces
        begins, is_text = _count_before(text), token_ids == NOT_A_TOKEN
        texts, sizes = self._prepend_space(tf.where(is_text, text, b""), mark_starts(row_splits))
        values, splits, starts, ends = _load_ops().sentencepiece_tokenize_with_offsets_op(
            self._model.resource_handle, texts, **_PLAIN
        )
        pieces = find_segments(splits)
        before, begin = tf.gather(sizes, pieces), tf.gather(begins, pieces)
        starts, ends = (begin + tf.maximum(p - before, 0) for p in (starts, ends))
        found = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
        ids = join_tokens(row_splits, token_ids, found)
        starts = join_tokens(row_splits, token_ids, found.with_values(starts), begins[:-1]).values
        ends = join_tokens(row_splits, token_ids, found.with_values(ends), begins[1:]).values
        if sources is not None:
            # What stands for nothing keeps its place, that of the byte it comes before.
            is_empty = ends <= starts
            starts, last = tf.gather(sources[0], starts), tf.gather(sources[1], ends - 1)
            ends = tf.where(is_empty, starts, last)
        starts, ends = _find_characters(given, find_segments(ids.row_splits), starts, ends)
        return ids, ids.with_values(starts), ids.with_values(ends)


def _encode(model, text):
    values, splits = _load_ops().sentencepiece_tokenize_op(model.resource_handle, text, **_PLAIN)
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


def _count_before(text):
    """The bytes before each piece of text, and all of them: int64 (P + 1,)."""
    return tf.concat([[0], tf.cumsum(tf.cast(tf.strings.length(text), tf.int64))], 0)


class _Normalizer(tf.Module):
    """Normalizes text by the table of a model.

    The op normalizes nothing but what it encodes. A model whose pieces are the 256 bytes gives the
    normalized text byte by byte.

    Args:
        rules: bytes. A `precompiled_charsmap`.
    """

    def __init__(self, rules):
        super().__init__(name="normalizer")
        model = SentencePieceModel.of_bytes(rules)
        self._model = _Model(model.serialize())
        # Without the bytes of the normal piece, which are no text.
        self._bytes = tf.constant([b"", b"", *(bytes([byte]) for byte in range(256))])

    def normalize(self, text):
        """Normalizes rows.

        Args:
            text: string (P,).
        Returns:
            text: string (P,).
            splits: int64 (P + 1,). Row boundaries in the bytes of the normalized text.
            starts, ends: int64 (bytes,). The bytes of its row that each byte stands for.
        """
        ids, splits, starts, ends = _load_ops().sentencepiece_tokenize_with_offsets_op(
            self._model.resource_handle, text, **_PLAIN
        )
        # The op writes a space as U+2581: its first byte becomes the space, the others go.
        later = tf.concat([ids, [0, 0]], 0)
        first = (ids == _E2) & (later[1:-1] == _96) & (later[2:] == _81)
        kept = ~(tf.concat([[False], first[:-1]], 0) | tf.concat([[False] * 2, first[:-2]], 0))
        data = tf.where(first, b" ", tf.gather(self._bytes, ids))
        before = tf.concat([[0], tf.cumsum(tf.cast(kept, tf.int64))], 0)
        rows = tf.boolean_mask(find_segments(splits), kept)
        # Of a character of several bytes the op gives the place to the last one alone.
        text = tf.strings.unsorted_segment_join(tf.boolean_mask(data, kept), rows, tf.size(text))
        return (
            text,
            tf.gather(before, splits),
            tf.boolean_mask(tf.cast(starts, tf.int64), kept),
            tf.boolean_mask(tf.cast(ends, tf.int64), kept),
        )


# The ids that bytes have in the model of a `_Normalizer`.
_E2, _96, _81 = (2 + byte for byte in "\u2581".encode())
# The best pieces, no others drawn at random, and nothing put before or behind them.
_PLAIN = {
    "nbest_size": 0,
    "alpha": 1.0,
    "add_bos": False,
    "add_eos": False,
    "reverse": False,
    "out_type": tf.int32,
}


class _Model(tf.saved_model.experimental.TrackableResource):
    """The op's resource for a model, which a SavedModel stores and creates again."""

    def __init__(self, data):
        super().__init__()
        self._data = data
        # A resource without a name ends with the kernel that made it, as soon as TensorFlow clears
        # its cache of them. Under this name all who use the same model share one.
        self._shared_name = f"lmzoo_sentence_piece_{hashlib.sha256(data).hexdigest()}"
        _ = self.resource_handle

    def _create_resource(self):
        return _load_ops().sentencepiece_op(model=self._data, shared_name=self._shared_name)


@functools.cache
def _load_ops():
    """The ops alone: `import tensorflow_text` would import Keras and all its other ops."""
    package = importlib.util.find_spec("tensorflow_text")
    folder = pathlib.Path(package.submodule_search_locations[0])
    return tf.load_op_library(str(folder / "python" / "ops" / "_sentencepiece_tokenizer.so"))


def _replace_invalid(text):
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")


def _find_characters(text, rows, starts, ends):
    """Turns places in bytes into places in characters, and moves white space out of between.

    Args:
        text: string (B,). Valid UTF-8.
        rows: int32 (n,). The row of each piece.
        starts, ends: int64 (n,). Places in the bytes of all rows.
    Returns:
        starts, ends: int32 (n,). Places in the characters of their row.
    """
    points = tf.strings.unicode_decode(text, "UTF-8")
    row_starts = tf.gather(tf.cast(points.row_splits, tf.int32), rows)
    points = points.values
    sizes = 1 + sum(tf.cast(points >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000))
    # (bytes + 1,): the character of each byte of all rows, and the end.
    characters = find_segments(tf.concat([[0], tf.cumsum(sizes)], 0))
    characters = tf.concat([characters, [tf.size(points)]], 0)
    starts, ends = tf.gather(characters, starts), tf.gather(characters, ends)
    # How many characters before each are no white space, and where these stand.
    solid = tf.reduce_all(points[:, None] != tf.constant(_WHITE_SPACE), axis=1)
    before = tf.concat([[0], tf.cumsum(tf.cast(solid, tf.int32))], 0)
    places = tf.concat([tf.where(solid)[:, 0], [tf.size(points, tf.int64)]], 0)
    places = tf.cast(places, tf.int32)
    trimmed = tf.minimum(tf.gather(places, tf.gather(before, starts)), ends)
    last = tf.gather(places, tf.maximum(tf.gather(before, ends) - 1, 0)) + 1
    ends = tf.maximum(tf.minimum(last, ends), trimmed)
    return trimmed - row_starts, ends - row_starts
