"""Looking code points up in tables, in the graph."""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.unicode.bert_characters import IRREGULAR, MOVES

__all__ = ["CharacterMap"]

_BLOCK_BITS = 8


class CharacterMap(tf.Module):
    """Gives what becomes of code points.

    Args:
        tables: CharacterTables.
    """

    def __init__(self, tables):
        super().__init__(name="character_map")
        # Most blocks of 256 are all letters or unassigned: stored as differences to the code
        # point they are one block, and 4 MB become 0.1 MB.
        differences = tables.entries - np.arange(len(tables.entries), dtype=np.int32)
        blocks, block_starts = {}, []
        for block in differences.reshape(-1, 1 << _BLOCK_BITS):
            place = blocks.setdefault(block.tobytes(), len(blocks))
            block_starts.append(place << _BLOCK_BITS)
        with tf.init_scope():
            self._block_starts = tf.constant(block_starts, tf.int32)
            self._differences = tf.constant(np.frombuffer(b"".join(blocks), np.int32))
            # One more entry: without expansions there must still be something to gather from. One
            # more row: all rows behind the last are empty.
            self._expansions = tf.constant(np.append(tables.expansions, 0), tf.int32)
            self._starts = tf.constant(_narrow(np.append(tables.splits[:-1], 0)))
            self._lengths = tf.constant(_narrow(np.append(np.diff(tables.splits), 0)))
        self._last_row = len(tables.splits) - 1

    def look_up(self, code_points):
        """Gives the entries.

        Args:
            code_points: int32 (n,). Valid ones.
        Returns:
            int32 (n,).
        """
        block = tf.gather(self._block_starts, tf.bitwise.right_shift(code_points, _BLOCK_BITS))
        inside = tf.bitwise.bitwise_and(code_points, (1 << _BLOCK_BITS) - 1)
        return code_points + tf.gather(self._differences, block + inside)

    def expand(self, entries, row_splits):
        """Puts the expansions in the places of the irregular entries.

        Args:
            entries: int32 (n,).
            row_splits: int64 (B + 1,). Where each row begins in `entries`, and n.
        Returns:
            entries: int32 (m,). None is irregular or moves.
            row_splits: int64 (B + 1,).
            sources: int32 (m,). The index each one had in `entries`.
        """
        entries = tf.bitwise.bitwise_and(entries, MOVES - 1)
        irregular = entries >= IRREGULAR
        row = tf.where(irregular, tf.minimum(entries - IRREGULAR, self._last_row), 0)
        lengths = tf.where(irregular, tf.cast(tf.gather(self._lengths, row), tf.int32), 1)
        splits = tf.concat([[0], tf.cumsum(lengths)], 0)
        sources = find_segments(splits)
        within = tf.range(tf.size(sources)) - tf.gather(splits, sources)
        inside = tf.gather(irregular, sources)
        starts = tf.gather(tf.cast(tf.gather(self._starts, row), tf.int32), sources)
        place = tf.where(inside, starts + within, 0)
        expanded = tf.where(inside, tf.gather(self._expansions, place), tf.gather(entries, sources))
        return expanded, tf.cast(tf.gather(splits, row_splits), tf.int64), sources


def _narrow(values):
    """The numbers, none below 0, in the narrowest type that holds them: there are many rows."""
    fitting = (t for t in (np.uint8, np.uint16, np.int32) if values.max() <= np.iinfo(t).max)
    return values.astype(next(fitting))
