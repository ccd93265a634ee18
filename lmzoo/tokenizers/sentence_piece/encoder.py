"""SentencePiece encoding of rows of text by tensorflow-text's op, in one graph."""

import dataclasses
import functools
import hashlib
import importlib.util
import pathlib

import tensorflow as tf

from lmzoo.tokenizers.graphs import Encoder
from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder, join_tokens

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
    """

    def __init__(self, vocabulary, prepend_scheme=None):
        super().__init__(name="sentence_piece_encoder")
        self._prepend_scheme = prepend_scheme
        special = {token: vocabulary.ids[token] for token in vocabulary.special_tokens}
        hidden = [index for index in special.values() if index < len(vocabulary.model.pieces)]
        model = vocabulary.model
        if prepend_scheme is not None:
            model = dataclasses.replace(model, add_dummy_prefix=False)
        with tf.init_scope(), tf.device("/CPU:0"):
            self._model = _Model(model.serialize(hidden))
            self._special = SpecialTokenFinder(special)

    def encode_around(self, finder, text):
        pieces, token_ids = finder.split(text)
        texts = tf.where(token_ids < 0, pieces.values, b"")
        is_first = mark_starts(pieces.row_splits)
        ids = self._encode_pieces(self._prepend_space(texts, is_first)[0])
        return join_tokens(pieces.row_splits, token_ids, ids)

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
        text = _replace_invalid(text)
        given = text
        text, sizes = self._prepend_space(text, True)
        values, splits, starts, ends = _load_ops().sentencepiece_tokenize_with_offsets_op(
            self._model.resource_handle, text, **_PLAIN
        )
        ids = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
        rows = find_segments(splits)
        before = tf.gather(sizes, rows)
        starts, ends = (tf.maximum(places - before, 0) for places in (starts, ends))
        starts, ends = _find_characters(given, rows, starts, ends)
        return ids, ids.with_values(starts), ids.with_values(ends)

    def _encode(self, text):
        return self._encode_pieces(self._prepend_space(_replace_invalid(text), True)[0])

    def _encode_pieces(self, text):
        values, splits = _load_ops().sentencepiece_tokenize_op(
            self._model.resource_handle, _replace_invalid(text), **_PLAIN
        )
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


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
    """The op's form of a model, which a SavedModel holds and makes again."""

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
        starts, ends: int64 (n,).
    Returns:
        starts, ends: int32 (n,).
    """
    points = tf.strings.unicode_decode(text, "UTF-8")
    row_starts = tf.gather(tf.cast(points.row_splits, tf.int32), rows)
    byte_splits = tf.concat([[0], tf.cumsum(tf.strings.length(text))], 0)
    points = points.values
    sizes = 1 + sum(tf.cast(points >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000))
    # (bytes + 1,): the character of each byte of all rows, and the end.
    characters = find_segments(tf.concat([[0], tf.cumsum(sizes)], 0))
    characters = tf.concat([characters, [tf.size(points)]], 0)
    row_bytes = tf.gather(byte_splits, rows)
    starts = tf.gather(characters, row_bytes + tf.cast(starts, tf.int32))
    ends = tf.gather(characters, row_bytes + tf.cast(ends, tf.int32))
    # How many characters before each are no white space, and where these stand.
    solid = tf.reduce_all(points[:, None] != tf.constant(_WHITE_SPACE), axis=1)
    before = tf.concat([[0], tf.cumsum(tf.cast(solid, tf.int32))], 0)
    places = tf.concat([tf.where(solid)[:, 0], [tf.size(points, tf.int64)]], 0)
    places = tf.cast(places, tf.int32)
    trimmed = tf.minimum(tf.gather(places, tf.gather(before, starts)), ends)
    last = tf.gather(places, tf.maximum(tf.gather(before, ends) - 1, 0)) + 1
    ends = tf.maximum(tf.minimum(last, ends), trimmed)
    return trimmed - row_starts, ends - row_starts
