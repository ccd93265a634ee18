"""Unicode normalization form C (NFC) in the graph, by tables.

Text is decomposed, its combining marks are sorted by class, and each base character is composed
with its marks one after the other. A blocked mark also blocks later marks of the same combining
class. So the number of steps is bounded by the number of classes, however long a run of marks is,
and all base characters step at the same time. One look-up finds out that most text is in NFC
already.
"""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import mark_starts
from lmzoo.tokenizers.unicode.bert_characters import (
    make_canonical_tables,
    read_combining_classes,
    read_compositions,
)
from lmzoo.tokenizers.unicode.character_map import CharacterMap

__all__ = ["NFCNormalizer"]

_POINT_BITS = 21
_ORDER_BITS = 6
_BLOCK_BITS = 8
# Above the order of a mark: what normalize_nfc with a letter before it though it is no mark, as the
# vowels of Hangul, and what can stand in no composed text, or not behind everything.
_SECOND, _UNSTABLE = 1 << _ORDER_BITS, 2 << _ORDER_BITS


class NFCNormalizer(tf.Module):
    """Normalizes rows of code points to NFC.

    Reference: Unicode Standard Annex 15, https://www.unicode.org/reports/tr15, and section 3.11 of
    the standard; the characters are those that Hugging Face `tokenizers` knows.
    """

    def __init__(self):
        super().__init__(name="nfc_normalizer")
        tables, compositions = make_canonical_tables(), read_compositions()
        properties = _make_properties(tables, compositions)
        blocks, index = np.unique(
            properties.reshape(-1, 1 << _BLOCK_BITS), axis=0, return_inverse=True
        )
        keys = [first << _POINT_BITS | second for first, second in compositions]
        self._decomposition = CharacterMap(tables)
        with tf.init_scope():
            self._block_starts = tf.constant(index.reshape(-1) << _BLOCK_BITS, tf.int32)
            self._properties = tf.constant(blocks.reshape(-1))
            self._compositions = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys, tf.int64), tf.constant(list(compositions.values()), tf.int32)
                ),
                default_value=-1,
            )

    def normalize(self, code_points, row_splits):
        """Normalizes each row.

        Args:
            code_points: int32 (n,). Of all rows, concatenated.
            row_splits: int64 (B + 1,). Row boundaries, from 0 to n.
        Returns:
            code_points: int32 (m,).
            row_splits: int64 (B + 1,).
            sources: int32 (m,). The offset in the given `code_points` at which each one begins,
                in ascending order.
        """
        unstable = self._look_up(code_points) >= _UNSTABLE
        return tf.cond(
            tf.reduce_any(unstable),
            lambda: self._normalize(code_points, row_splits),
            lambda: (code_points, row_splits, tf.range(tf.size(code_points))),
        )

    def _look_up(self, code_points):
        block = tf.gather(self._block_starts, tf.bitwise.right_shift(code_points, _BLOCK_BITS))
        inside = tf.bitwise.bitwise_and(code_points, (1 << _BLOCK_BITS) - 1)
        return tf.cast(tf.gather(self._properties, block + inside), tf.int32)

    def _normalize(self, code_points, row_splits):
        entries = self._decomposition.look_up(code_points)
        points, row_splits, sources = self._decomposition.expand(entries, row_splits)
        firsts = mark_starts(row_splits)
        combining = tf.bitwise.bitwise_and(self._look_up(points), _SECOND - 1)
        groups = tf.cumsum(tf.cast((combining == 0) | firsts, tf.int64))
        positions = tf.argsort(groups * _SECOND + tf.cast(combining, tf.int64), stable=True)
        points = tf.gather(points, positions)
        points, kept = self._compose(points, firsts)
        kept = tf.where(kept)[:, 0]
        row_splits = tf.searchsorted(kept, row_splits, out_type=tf.int64)
        return tf.gather(points, kept), row_splits, tf.gather(sources, kept)

    def _compose(self, points, firsts):
        """Composes sorted text: int32 (n,), and which code points remain, bool (n,)."""
        properties = self._look_up(points)
        combining = tf.bitwise.bitwise_and(properties, _SECOND - 1)
        is_second = tf.bitwise.bitwise_and(properties, _SECOND) > 0
        begins = firsts | ((combining == 0) & ~is_second)
        bases = tf.where(begins)[:, 0]
        size = tf.size(points, tf.int64)
        ends = tf.concat([bases[1:], [size]], 0)
        # The end of each run of marks of one class.
        changes = begins | tf.concat([[True], combining[1:] != combining[:-1]], 0)
        stops = tf.concat([tf.where(changes)[1:, 0], [size]], 0)
        stops = tf.gather(stops, tf.cumsum(tf.cast(changes, tf.int32)) - 1)

        def take(bases, positions, ends, blocked, points, kept):
            made = tf.gather(points, bases)
            classes = tf.gather(combining, positions)
            seconds = tf.gather(points, positions)
            keys = tf.bitwise.left_shift(tf.cast(made, tf.int64), tf.cast(_POINT_BITS, tf.int64))
            found = self._compositions.lookup(keys + tf.cast(seconds, tf.int64))
            takes = (found >= 0) & ~(blocked & (classes == 0))
            points = tf.tensor_scatter_nd_update(
                points, bases[:, None], tf.where(takes, found, made)
            )
            taken = tf.boolean_mask(positions, takes)[:, None]
            kept = tf.tensor_scatter_nd_update(kept, taken, tf.zeros_like(taken[:, 0], tf.bool))
            positions = tf.where(takes, positions + 1, tf.gather(stops, positions))
            going = tf.where((positions < ends) & (takes | (classes > 0)))[:, 0]
            state = (bases, positions, ends, blocked | ~takes)
            return *(tf.gather(values, going) for values in state), points, kept

        going = tf.where(bases + 1 < ends)[:, 0]
        bases, ends = tf.gather(bases, going), tf.gather(ends, going)
        state = [bases, bases + 1, ends, tf.zeros_like(bases, tf.bool), points]
        *_, points, kept = tf.while_loop(
            lambda bases, *_: tf.size(bases) > 0,
            take,
            [*state, tf.ones_like(points, tf.bool)],
            shape_invariants=[tf.TensorShape([None])] * 6,
        )
        return points, kept


def _make_properties(tables, compositions):
    """uint8 (0x110000,): combining class, `_SECOND` and `_UNSTABLE` of every code point."""
    properties = read_combining_classes().astype(np.uint8)
    unstable = (properties > 0) | (tables.entries != np.arange(len(properties)))
    unstable[list(compositions.values())] = False
    seconds = sorted({second for _, second in compositions})
    is_second = np.zeros(len(properties), bool)
    is_second[seconds] = True
    unstable |= is_second
    properties[is_second & (properties == 0)] += _SECOND
    properties[unstable] += _UNSTABLE
    return properties
