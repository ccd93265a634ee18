"""Lists of words to token batches, and values of words (tags, weights) to values of tokens.

Shapes: B batch, W words of a row, T tokens of a row.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.data.corpus.packing import pack
from lmzoo.tasks.discriminative.tagging import find_visible_tokens, join_words, split_words

__all__ = ["PackedWords", "as_ragged", "check_lengths", "pack_words"]


def check_lengths(row):
    """Refuses a row without exactly one tag, or one weight, for each of its words.

    Args:
        row: dict with `words`, `tags` and, optionally, `weight`, a list or the row's number.
    Raises:
        ValueError: if lengths differ, or `words` or `tags` is not a list.
    """
    words, tags, weight = row["words"], row["tags"], row.get("weight")
    if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
        raise ValueError(
            "`words` and `tags` must be lists of one length. Received: "
            f"words={words!r:.60}, tags={tags!r:.60}."
        )
    if isinstance(weight, list) and len(weight) != len(words):
        raise ValueError(
            "`weight` must be a number, or a list of one for each of `words`. Received: "
            f"words={words!r:.60}, weight={weight!r:.60}."
        )


class PackedWords(NamedTuple):
    """Token batches of words, and the positions of the words in them.

    inputs: dict of tensors, the inputs of the backbone.
    word_ids: int32 (B, T). The index of the token's word, counted through all rows; -1 for special
        tokens and white space between two words.
    is_first: bool (B, T). Whether a token is the first one of its word.
    positions: int32 (B, W). The index of each word's first token; -1 for a word that was truncated
        or has no token, and at padding.
    lengths: int64 (B,). The number of words of each row.
    is_truncated: bool (B,).
    """

    inputs: Any
    word_ids: Any
    is_first: Any
    positions: Any
    lengths: Any
    is_truncated: Any

    def to_tokens(self, name, values, filler):
        """In the graph: gives each token the value of its word.

        Args:
            name: str. The name of the values in an error.
            values: tf.RaggedTensor (B, W).
            filler: number. The value of tokens without a word.
        Returns:
            tensor (B, T).
        Raises:
            tf.errors.InvalidArgumentError: at run time, if a row does not have one value for each
                word.
        """
        message = f"`words` and `{name}` must be lists of one length."
        # Different numbers of rows fail here too.
        same = tf.debugging.assert_equal(values.row_lengths(), self.lengths, message)
        with tf.control_dependencies([] if same is None else [same]):
            flat = tf.concat([values.flat_values, tf.constant([filler], values.dtype)], 0)
        return tf.gather(flat, tf.where(self.word_ids >= 0, self.word_ids, tf.size(flat) - 1))


def pack_words(words, tokenizer, sequence_length, allow_special=(), **special_tokens):
    """In the graph: token batches of words.

    Args:
        words: string (B, W), ragged or dense.
        tokenizer: tokenizer with `tokenize_with_offsets`.
        sequence_length: int. The largest T.
        allow_special: tuple of str. The special tokens that words may contain.
        **special_tokens: `add_start` and `add_end` of `pack`.
    Returns:
        PackedWords.
    """
    texts, word_starts = join_words(words)
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts, allow_special)
    is_visible = find_visible_tokens(texts, starts, ends)
    word_ids, is_first = split_words(starts, is_visible, word_starts)
    word_ids = tf.where(is_visible, word_ids, -1)
    features = tf.stack([ids.flat_values, word_ids, tf.cast(is_first, tf.int32)], axis=-1)
    inputs, features, is_truncated = pack(
        [ids.with_flat_values(features)], tokenizer, sequence_length, **special_tokens
    )
    word_ids, is_first = features[..., 0], features[..., 1] > 0
    found = tf.where(is_first)
    positions = tf.tensor_scatter_nd_update(
        tf.fill(tf.shape(word_starts.flat_values), -1),
        tf.gather_nd(word_ids, found)[:, None],
        tf.cast(found[:, 1], tf.int32),
    )
    positions = word_starts.with_flat_values(positions).to_tensor(-1)
    return PackedWords(
        inputs, word_ids, is_first, positions, word_starts.row_lengths(), is_truncated
    )


def as_ragged(values):
    """Converts a dense batch of rows to a tf.RaggedTensor."""
    return values if isinstance(values, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(values)
