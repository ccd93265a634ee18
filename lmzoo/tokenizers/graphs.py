"""What all encoders have in common: three graphs, each the same for every batch."""

import tensorflow as tf

__all__ = ["Encoder", "check_ids"]

_ROWS = [tf.TensorSpec([None], tf.string)]


class Encoder(tf.Module):
    """Turns rows of text into ids; its tables never change once they are built.

    A subclass gives `_encode(text)`, to tf.RaggedTensor int32 (B, None), and
    `_encode_with_offsets(text)`, to three of them. It sets `_special` to a SpecialTokenFinder, or
    to None where there are no special tokens.
    """

    # Nothing here is Python to be turned into a graph; to look for it takes half the first call.

    @tf.function(input_signature=_ROWS, autograph=False)
    def encode(self, text):
        """Encodes each row; what looks like a special token stays text.

        Args:
            text: string (B,). Invalid UTF-8 is read as Python's `errors="replace"` reads it.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            return self._encode(text)

    @tf.function(input_signature=_ROWS, autograph=False)
    def encode_with_special(self, text):
        """Encodes each row; special tokens in it become theirs.

        Args:
            text: as for `encode`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        """
        with tf.device("/CPU:0"):
            return self._special.encode(text, self._encode)

    @tf.function(input_signature=_ROWS, autograph=False)
    def encode_with_offsets(self, text):
        """Encodes each row and says where its tokens stand, without white space at their ends.

        Args:
            text: as for `encode`.
        Returns:
            ids, starts, ends: three tf.RaggedTensor int32 (B, None), places in characters.
        """
        with tf.device("/CPU:0"):
            return self._encode_with_offsets(text)


def check_ids(ids, vocabulary_size):
    """Gives the ids on, to be looked up in tables of a vocabulary.

    Args:
        ids: int of any shape.
        vocabulary_size: int. V.
    Returns:
        `ids`. What is looked up with these waits for the check.
    Raises:
        tf.errors.InvalidArgumentError: if an id is not from 0 to V - 1, at run time.
    """
    wrong = (ids < 0) | (ids >= vocabulary_size)
    rule = f"`ids` must be token ids from 0 to {vocabulary_size - 1}. Received:"
    check = tf.debugging.Assert(~tf.reduce_any(wrong), [rule, tf.boolean_mask(ids, wrong)])
    # Eagerly there is no op to wait for.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(ids)
