"""From WordPiece ids back to text, in the graph."""

import tensorflow as tf

from lmzoo.tokenizers.graphs import check_ids
from lmzoo.tokenizers.ragged_rows import find_segments

__all__ = ["WordPieceDecoder"]

# What English writes without a space before it, in the reference's order: " do not" is one of
# them, though a token that holds it is rare.
_TIGHT = {
    **{" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'", " n't": "n't", " 'm": "'m"},
    **{" do not": " don't", " 's": "'s", " 've": "'ve", " 're": "'re"},
}


class WordPieceDecoder(tf.Module):
    """Joins the tokens of words, and words with spaces between them.

    Args:
        vocabulary: WordPieceVocabulary.
    """

    def __init__(self, vocabulary):
        super().__init__(name="word_piece_decoder")
        special = set(vocabulary.special_tokens)
        prefix, tokens = vocabulary.prefix, vocabulary.tokens
        behind = [
            token.removeprefix(prefix) if token.startswith(prefix) else f" {token}"
            for token in tokens
        ]
        with tf.init_scope(), tf.device("/CPU:0"):
            self._first = tf.constant([_tighten(token).encode() for token in tokens])
            self._behind = tf.constant([_tighten(text).encode() for text in behind])
            self._special = tf.constant([token in special for token in tokens])

    def join(self, ids, skip_special):
        """Decodes rows of ids to text.

        Args:
            ids: int (B, T), dense or ragged.
            skip_special: bool. If True, special tokens leave nothing behind.
        Returns:
            string (B,).
        """
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        values, rows = check_ids(ids.values, self._special.shape[0]), find_segments(ids.row_splits)
        kept = tf.where(~tf.gather(self._special, values) | (not skip_special))[:, 0]
        rows, values = tf.gather(rows, kept), tf.gather(values, kept)
        first = tf.concat([[True], rows[1:] != rows[:-1]], 0)[: tf.size(rows)]
        texts = tf.where(first, tf.gather(self._first, values), tf.gather(self._behind, values))
        return tf.strings.unsorted_segment_join(texts, rows, ids.nrows())


def _tighten(text):
    for loose, tight in _TIGHT.items():
        text = text.replace(loose, tight)
    return text
