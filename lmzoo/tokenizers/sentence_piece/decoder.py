"""From SentencePiece ids back to text, in the graph, by tables alone."""

import tensorflow as tf

from lmzoo.runtime.sentence_piece_file.model import PieceType
from lmzoo.tokenizers.graphs import check_ids
from lmzoo.tokenizers.ragged_rows import find_segments

__all__ = ["SentencePieceDecoder"]

_SPACE = "\u2581"


class SentencePieceDecoder(tf.Module):
    """Puts the texts of pieces together.

    Args:
        vocabulary: SentencePieceVocabulary.
        prepend_scheme: str or None. As for `SentencePieceEncoder`.
    """

    def __init__(self, vocabulary, prepend_scheme=None):
        super().__init__(name="sentence_piece_decoder")
        model = vocabulary.model
        strips = model.remove_extra_whitespaces
        strips |= model.add_dummy_prefix if prepend_scheme is None else prepend_scheme != "never"
        with tf.init_scope(), tf.device("/CPU:0"):
            self._plain = _Texts(model, _make_texts(vocabulary, ""), strips)
            self._named = _Texts(model, _make_texts(vocabulary, None), strips)

    def join(self, ids, skip_special, keeps_space=False):
        """Decodes rows of ids to bytes.

        Args:
            ids: int (B, T), dense or ragged.
            skip_special: bool. If True, special tokens leave nothing behind but the unknown one.
            keeps_space: bool. If True, the space before the first piece stays.
        Returns:
            string (B,).
        """
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        tables = self._plain if skip_special else self._named
        rows = find_segments(ids.row_splits)
        values = check_ids(ids.values, tables.texts.shape[0])
        texts = tf.gather(tables.texts, values)
        if not keeps_space:
            filled = tf.cast(tf.gather(tables.fills, values), tf.int32)
            before = tf.cumsum(filled, exclusive=True)
            first = tf.gather(tf.concat([before, [0]], 0), ids.row_splits[:-1])
            leads = before == tf.gather(first, rows)
            texts = tf.where(leads, tf.gather(tables.leading, values), texts)
        return tf.strings.unsorted_segment_join(texts, rows, ids.nrows())


class _Texts(tf.Module):
    """What each id stands for: inside a text, at its start, and whether this is over then."""

    def __init__(self, model, texts, strips):
        super().__init__(name="texts")
        spaced = [strips and is_text and text[:1] == b" " for text, is_text in texts]
        leading = [text[space:] for (text, _), space in zip(texts, spaced, strict=True)]
        # Where extra spaces go, a piece that is only one of them leaves the start where it is.
        only_one = not model.remove_extra_whitespaces
        fills = [bool(text) or (only_one and s) for text, s in zip(leading, spaced, strict=True)]
        self.texts = tf.constant([text for text, _ in texts])
        self.leading = tf.constant(leading)
        self.fills = tf.constant(fills)


def _make_texts(vocabulary, special):
    """(bytes, whether its first space is one of a piece) of each id; None gives special names."""
    model, hidden = vocabulary.model, set(vocabulary.special_tokens)
    made = []
    for index, token in enumerate(vocabulary.tokens):
        piece_type = model.types[index] if index < len(model.types) else PieceType.CONTROL
        if piece_type is PieceType.UNKNOWN and special is not None:
            made.append((model.unknown_surface.encode(), False))
        elif token in hidden:
            made.append(((token if special is None else special).encode(), False))
        elif piece_type is PieceType.BYTE:
            made.append((bytes([int(token[3:5], 16)]), False))
        else:
            made.append((token.replace(_SPACE, " ").encode(), token.startswith(_SPACE)))
    return made
