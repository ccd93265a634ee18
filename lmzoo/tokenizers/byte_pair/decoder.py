"""From token ids back to bytes and text, in the graph."""

import tensorflow as tf

from lmzoo.tokenizers.id_checks import check_ids
from lmzoo.tokenizers.ragged_rows import find_segments

__all__ = ["BytePairDecoder"]


class BytePairDecoder(tf.Module):
    """Puts the bytes of tokens together.

    Args:
        vocabulary: BytePairVocabulary.
        visible_tokens: tuple of str. The special tokens that are never skipped.
    """

    def __init__(self, vocabulary, visible_tokens=()):
        super().__init__(name="byte_pair_decoder")
        names = [token.encode() for token in vocabulary.tokens]
        pairs = list(zip(vocabulary.pieces, names, strict=True))
        with tf.init_scope(), tf.device("/CPU:0"):
            self._pieces = tf.constant([name if piece is None else piece for piece, name in pairs])
            visible = {token.encode() for token in visible_tokens}
            self._plain_pieces = tf.constant(
                [piece or (name if name in visible else b"") for piece, name in pairs]
            )

    def join(self, ids, skip_special):
        """Decodes rows of ids to bytes.

        Args:
            ids: int (B, T), dense or ragged.
            skip_special: bool. If True, special tokens leave nothing behind.
        Returns:
            string (B,).
        """
        table = self._plain_pieces if skip_special else self._pieces
        size = table.shape[0]
        if not isinstance(ids, tf.RaggedTensor):
            return tf.strings.reduce_join(tf.gather(table, check_ids(ids, size)), axis=-1)
        texts = tf.gather(table, check_ids(ids.values, size))
        return tf.strings.unsorted_segment_join(texts, find_segments(ids.row_splits), ids.nrows())
