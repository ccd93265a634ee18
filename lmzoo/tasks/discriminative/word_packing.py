"""Words to token batches, and from what belongs to each word to what belongs to each token.

Shapes: B batch, W words of a row, T tokens of a row.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from lmzoo.data.corpus.packing import pack
from lmzoo.tasks.discriminative.tagging import find_visible_tokens, join_words, split_words

__all__ = ["PackedWords", "as_ragged", "check_lengths", "pack_words"]


def check_lengths(row):
    """Refuses a row that has not a tag, or not a weight, for each of its words.

    Args:
        row: dict with `words`, `tags` and, perhaps, `weight`, which may also be that of the row.
    Raises:
        ValueError: if one is longer or shorter, or no list.
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
    """Token batches of words, and where the words are in them.

    inputs: dict as the backbone takes it.
    numbers: int32 (B, T). Which word a token belongs to, through all rows; -1 where it is of none,
        as special tokens and white space between two words are.
    is_first: bool (B, T). Whether it is the first one of its word.
    places: int32 (B, W). The first token of each word; -1 where it was cut off, has none, or there
        is no word.
    lengths: int64 (B,). How many words each row has.
    is_truncated: bool (B,).
    """

    inputs: Any
    numbers: Any
    is_first: Any
    places: Any
    lengths: Any
    is_truncated: Any

    def spread(self, name, values, filler):
        """In the graph: gives each token what its word has.

        Args:
            name: str. What a message calls the values.
            values: tf.RaggedTensor (B, W).
            filler: number. What tokens of no word have.
        Returns:
            tensor (B, T).
        Raises:
            tf.errors.InvalidArgumentError: at run time, if a row has not one value for each word.
        """
        message = f"`words` and `{name}` must be lists of one length."
        # Of other numbers of rows there are no equal lengths either.
        same = tf.debugging.assert_equal(values.row_lengths(), self.lengths, message)
        with tf.control_dependencies([] if same is None else [same]):
            flat = tf.concat([values.flat_values, tf.constant([filler], values.dtype)], 0)
        return tf.gather(flat, tf.where(self.numbers >= 0, self.numbers, tf.size(flat) - 1))


def pack_words(words, tokenizer, sequence_length):
    """In the graph: token batches of words.

    Args:
        words: string (B, W), ragged or dense.
        tokenizer: tokenizer with `tokenize_with_offsets`.
        sequence_length: int. The largest T.
    Returns:
        PackedWords.
    """
    texts, word_starts = join_words(words)
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    is_visible = find_visible_tokens(texts, starts, ends)
    numbers, is_first = split_words(starts, is_visible, word_starts)
    numbers = tf.where(is_visible, numbers, -1)
    features = tf.stack([ids.flat_values, numbers, tf.cast(is_first, tf.int32)], axis=-1)
    inputs, features, is_truncated = pack(
        [ids.with_flat_values(features)], tokenizer, sequence_length
    )
    numbers, is_first = features[..., 0], features[..., 1] > 0
    # The first token of a word tells the word where it is.
    found = tf.where(is_first)
    places = tf.tensor_scatter_nd_update(
        tf.fill(tf.shape(word_starts.flat_values), -1),
        tf.gather_nd(numbers, found)[:, None],
        tf.cast(found[:, 1], tf.int32),
    )
    places = word_starts.with_flat_values(places).to_tensor(-1)
    return PackedWords(inputs, numbers, is_first, places, word_starts.row_lengths(), is_truncated)


def as_ragged(values):
    """A batch of rows as tf.RaggedTensor, whichever it is."""
    return values if isinstance(values, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(values)
