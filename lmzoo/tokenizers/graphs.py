"""What the graphs of all tokenizers share: the base class of encoders, and the check of ids."""

import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts
from lmzoo.tokenizers.special_tokens import (
    NOT_A_TOKEN,
    PART_OF_A_TOKEN,
    STRIPPED,
    SpecialTokenFinder,
)
from lmzoo.tracing import traced_method

__all__ = ["Encoder", "check_ids", "split_pieces"]

_ROWS = [tf.TensorSpec([None], tf.string)]


class Encoder(tf.Module):
    """Turns rows of text into ids; its tables never change once they are built.

    A subclass gives `_encode_with_offsets(text)`, to three tf.RaggedTensor int32 (B, None), and one
    of two:

    - `_normalize(text)`, string (B,) to (B,), `_encode_text(text)`, which normalizes and encodes
      text in which no token of the raw text is left, and `_encode_normalized(text)`, which encodes
      normalized text. It calls `_make_finders` in its `__init__`.
    - `_encode(text)`, and an attribute `_special`, a SpecialTokenFinder or None.

    As in Hugging Face `tokenizers`, special tokens and those added tokens that are not normalized
    are searched first, in the raw text; the others are searched in what lies between, normalized.
    """

    # Nothing here is Python to be turned into a graph; to look for it takes half the first call.

    # What finds special tokens and tokens of the raw text, the latter alone, and tokens of the
    # normalized text; None where there are none.
    _special = _raw_added = _normalized_added = None

    def _make_finders(self, vocabulary, lstrip=(), rstrip=()):
        """Sets the three finders.

        Args:
            vocabulary: an object with `ids`, `special_tokens` and `added_tokens`.
            lstrip, rstrip: tuple of str. The special tokens that match the white space before them,
                or behind them, too.
        Returns:
            dict of int to bytes. The text that each added token has when text is normalized.
        """
        ids, added = vocabulary.ids, vocabulary.added_tokens
        special = {token: ids[token] for token in vocabulary.special_tokens}
        raw = {token.content: ids[token.content] for token in added if not token.normalized}
        texts = {}
        if added:
            contents = [token.content for token in added]
            normalized = self._normalize(tf.constant([text.encode() for text in contents]))
            texts = dict(zip((ids[text] for text in contents), normalized.numpy(), strict=True))
        searched = {}
        for token in added:
            text = texts[ids[token.content]]
            if token.normalized and text:
                searched.setdefault(text.decode(), token)
        by_content = {token.content: token for token in added if token.content in raw}
        strips = _list_strips(by_content)
        if special or raw:
            both = ((*mine, *theirs) for mine, theirs in zip((lstrip, rstrip), strips, strict=True))
            self._special = SpecialTokenFinder({**special, **raw}, *both)
        self._raw_added = SpecialTokenFinder(raw, *strips) if raw else None
        if searched:
            found = {text: ids[token.content] for text, token in searched.items()}
            self._normalized_added = SpecialTokenFinder(found, *_list_strips(searched))
        return texts

    @traced_method(_ROWS)
    def encode(self, text):
        """Encodes each row; what looks like a special token is text.

        Args:
            text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            return self._encode(text)

    @traced_method(_ROWS)
    def encode_with_special(self, text):
        """Encodes each row; special tokens in it are read as such.

        Args:
            text: as for `encode`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            if self._special is None:
                return self._encode(text)
            return self.encode_around(self._special, text)

    def encode_around(self, finder, text):
        """Encodes each row; the tokens that `finder` finds in it are read as such.

        Args:
            finder: SpecialTokenFinder.
            text: as for `encode`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        return finder.encode(text, self.encode)

    @traced_method(_ROWS)
    def encode_with_offsets(self, text):
        """Encodes each row and says where its tokens stand, without white space at their ends.

        Args:
            text: as for `encode`.
        Returns:
            ids, starts, ends: three tf.RaggedTensor int32 (B, None), offsets in characters.
        """
        with tf.device("/CPU:0"):
            return self._encode_with_offsets(text)

    def _encode(self, text):
        if self._raw_added is None:
            return self._encode_text(text)
        return self._raw_added.encode(text, self._encode_text)

    def _encode_between(self, text):
        """Normalizes text and encodes what lies between the tokens of normalized text."""
        return self._normalized_added.encode(self._normalize(text), self._encode_normalized)

    def _split_at_raw(self, text):
        """Splits rows at the tokens of the raw text.

        Args:
            text: string (B,).
        Returns:
            pieces: string (P,).
            token_ids: int32 (P,). As for `join_tokens`.
            row_splits: int64 (B + 1,). Row boundaries in the pieces.
        """
        if self._raw_added is None:
            count = tf.size(text, tf.int64)
            return text, tf.fill([count], NOT_A_TOKEN), tf.range(count + 1)
        pieces, token_ids = self._raw_added.split(text)
        return pieces.values, token_ids, pieces.row_splits

    def _split_at_normalized(self, text, token_ids, row_splits):
        """Splits normalized pieces at the tokens of normalized text.

        Args:
            text: string (P,).
            token_ids, row_splits: as `_split_at_raw` gives them.
        Returns:
            pieces, token_ids, row_splits: as `_split_at_raw`, for Q pieces.
            owners: int32 (Q,). The index of the given piece that each one is a part of.
        """
        return split_pieces(self._normalized_added, text, token_ids, row_splits)


def split_pieces(finder, text, token_ids, row_splits):
    """Splits pieces of text at further tokens.

    Args:
        finder: SpecialTokenFinder.
        text: string (P,).
        token_ids: int32 (P,). As for `join_tokens`.
        row_splits: int64 (B + 1,). Row boundaries in the pieces.
    Returns:
        pieces, token_ids, row_splits: the same for Q pieces.
        owners: int32 (Q,). The index of the given piece that each one is a part of.
    """
    pieces, found = finder.split(text)
    owners = find_segments(pieces.row_splits)
    outer = tf.gather(token_ids, owners)
    # A token that was found before is not split: its id goes with the first part.
    is_whole = mark_starts(pieces.row_splits) | (outer == STRIPPED)
    inside = tf.where(is_whole, outer, PART_OF_A_TOKEN)
    token_ids = tf.where(outer == NOT_A_TOKEN, found, inside)
    return pieces.values, token_ids, tf.gather(pieces.row_splits, row_splits), owners


def _list_strips(tokens):
    """The texts of tokens that match the white space before them, and of those behind them."""
    return (
        tuple(text for text, token in tokens.items() if token.lstrip),
        tuple(text for text, token in tokens.items() if token.rstrip),
    )


def check_ids(ids, vocabulary_size):
    """Checks token ids within a graph.

    Args:
        ids: int of any shape.
        vocabulary_size: int. V.
    Returns:
        `ids`. An op that uses the returned tensor waits for the check.
    Raises:
        tf.errors.InvalidArgumentError: if an id is not from 0 to V - 1, at run time.
    """
    wrong = (ids < 0) | (ids >= vocabulary_size)
    rule = f"`ids` must be token ids from 0 to {vocabulary_size - 1}. Received:"
    check = tf.debugging.Assert(~tf.reduce_any(wrong), [rule, tf.boolean_mask(ids, wrong)])
    # Eagerly there is no op to wait for.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids)
