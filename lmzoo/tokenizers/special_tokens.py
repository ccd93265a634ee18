"""Finding special and added tokens in text."""

import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments

__all__ = ["NOT_A_TOKEN", "PART_OF_A_TOKEN", "STRIPPED", "SpecialTokenFinder", "join_tokens"]

# In place of an id: the piece is text, it is a further part of a token that was split, or it is
# white space that the token beside it matches too.
NOT_A_TOKEN, PART_OF_A_TOKEN, STRIPPED = -1, -2, -3

# NUL announces a mark; a NUL of the text itself is written as NUL and this second character.
_ESCAPED_NUL = b"\x00\x01"
_BORDER = b"\x00\x02"
# Unicode's White_Space; RE2 knows ASCII's alone.
_WHITE_SPACE = (
    r"[\x{9}-\x{d} \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)


class SpecialTokenFinder(tf.Module):
    """Splits text at the tokens in it: the leftmost match first, the longest of several.

    Args:
        special_tokens: dict of str to int, without U+0000 to U+0002, which are used as marks.
        lstrip, rstrip: tuple of str. Those of them that match the white space before them, or
            behind them, too.
    """

    def __init__(self, special_tokens, lstrip=(), rstrip=()):
        super().__init__(name="special_token_finder")
        # RE2 takes the first alternative that fits, so the longest stands first.
        by_length = sorted(special_tokens, key=lambda token: (-len(token), token))
        self._pattern = _match_any(by_length)
        border = "".join(f"\\x{{{byte}}}" for byte in _BORDER)
        # White space and a token, in either order. Between tokens there is no other one.
        self._strips = []
        if lstrip:
            self._strips.append(f"({_WHITE_SPACE}){border}{_match_any(lstrip)}{border}")
        if rstrip:
            self._strips.append(f"{border}{_match_any(rstrip)}{border}({_WHITE_SPACE})")
        with tf.init_scope():
            self._ids = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant([token.encode() for token in special_tokens]),
                    tf.constant(list(special_tokens.values()), tf.int32),
                ),
                default_value=NOT_A_TOKEN,
            )

    def split(self, text):
        """Splits each row.

        Args:
            text: string (B,).
        Returns:
            pieces: string (B, None) ragged. Together they are the row, with text at both ends.
            ids: int32 (pieces,). The id of each piece that is a special token, else `NOT_A_TOKEN`
                or `STRIPPED`.
        """
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        text = tf.strings.regex_replace(text, r"\x{0}", _ESCAPED_NUL)
        text = tf.strings.regex_replace(text, self._pattern, _BORDER + rb"\1" + _BORDER)
        for strip in self._strips:
            parts = _BORDER + rb"\1" + _BORDER * 2 + rb"\2" + _BORDER
            text = tf.strings.regex_replace(text, strip, parts)
        pieces = tf.strings.split(text, _BORDER)
        flat = tf.strings.regex_replace(pieces.flat_values, r"\x{0}\x{1}", b"\x00")
        rows = find_segments(pieces.row_splits)
        place = tf.range(tf.size(rows, tf.int64)) - tf.gather(pieces.row_splits, rows)
        ids = self._ids.lookup(flat)
        found = tf.where(ids == NOT_A_TOKEN, STRIPPED, ids) if self._strips else ids
        return pieces.with_flat_values(flat), tf.where(place % 2 == 1, found, NOT_A_TOKEN)

    def encode(self, text, encode):
        """Encodes each row; special tokens in it become theirs.

        Args:
            text: string (B,).
            encode: function from string (P,) to tf.RaggedTensor int32 (P, None). Encodes what
                stands between special tokens.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        pieces, special_ids = self.split(text)
        ids = encode(tf.where(special_ids == NOT_A_TOKEN, pieces.values, b""))
        return join_tokens(pieces.row_splits, special_ids, ids)

    def encode_with_offsets(self, text, encode):
        """Encodes each row, and says which characters each token stands for.

        Args:
            text: string (B,).
            encode: function from string (P,) to ids, starts and ends, tf.RaggedTensor int32
                (P, None). Encodes the text between special tokens.
        Returns:
            ids, starts, ends: tf.RaggedTensor int32 (B, None), with offsets in characters.
        """
        pieces, special_ids = self.split(text)
        lengths = tf.strings.length(pieces.flat_values, unit="UTF8_CHAR")
        before = tf.concat([[0], tf.cumsum(lengths)], 0)
        starts = before[:-1] - tf.gather(
            before, tf.gather(pieces.row_splits, find_segments(pieces.row_splits))
        )
        flat = tf.where(special_ids == NOT_A_TOKEN, pieces.flat_values, b"")
        ids, token_starts, token_ends = encode(flat)
        shift = tf.gather(starts, find_segments(ids.row_splits))
        columns = ids.values, token_starts.values + shift, token_ends.values + shift
        special = special_ids, starts, starts + lengths
        return tuple(
            join_tokens(pieces.row_splits, special_ids, ids.with_values(column), values)
            for column, values in zip(columns, special, strict=True)
        )


def join_tokens(row_splits, token_ids, ids, values=None):
    """Joins the ids of pieces to those of rows.

    Args:
        row_splits: int64 (B + 1,). Row boundaries in the pieces, from 0 to P.
        token_ids: int32 (P,). The id of each piece that is a token by itself, else `NOT_A_TOKEN`,
            `PART_OF_A_TOKEN` or `STRIPPED`.
        ids: tf.RaggedTensor int32 (P, None). Used where a piece is not a token.
        values: int32 (P,), or None. Used where a piece is a token; if None, its id.
    Returns:
        tf.RaggedTensor int32 (B, None).
    """
    values = token_ids if values is None else values
    is_token, is_text = token_ids >= 0, token_ids == NOT_A_TOKEN
    kept = tf.boolean_mask(ids.values, tf.gather(is_text, find_segments(ids.row_splits)))
    lengths = tf.where(is_text, ids.row_lengths(), tf.constant(0, tf.int64))
    kept = tf.RaggedTensor.from_row_lengths(kept, lengths, validate=False)
    found = tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(values, is_token), tf.cast(is_token, tf.int64), validate=False
    )
    both = tf.concat([kept, found], 1)
    return tf.RaggedTensor.from_row_splits(
        both.values, tf.gather(both.row_splits, row_splits), validate=False
    )


def _match_any(tokens):
    escaped = ("".join(f"\\x{{{ord(character):x}}}" for character in token) for token in tokens)
    return "(" + "|".join(escaped) + ")"
