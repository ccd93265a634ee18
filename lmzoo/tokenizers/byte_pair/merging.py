"""Byte-pair merging of many words at once, exact, in plain TensorFlow ops.

The encoding is defined one merge at a time: of all neighbours in a word that have a merge, the pair
with the lowest rank is merged, the leftmost first, until no pair has one. Two facts allow to merge
many pairs at once with the same result:

1. A border across which no merge is possible splits a word into independent segments.
2. A pair whose rank is at most the bound of the border on its right, and below the bound of the
   border on its left, will be merged when its turn comes: any merge that could use one of its two
   symbols crosses one of these borders, and so has a higher rank. So the pair may be merged now.
   The result can only be merged across those two borders, again at a higher rank.

Each round merges all such pairs, and in each segment the pairs of the lowest rank, whose bounds may
be too low for the second fact.
"""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.byte_pair.merge_table import NEVER, MergeRules

__all__ = ["PairMerger"]

_RANK_BITS = 30
_OUT_OF_REACH = NEVER << _RANK_BITS | NEVER


class PairMerger(tf.Module):
    """Merges the bytes of words into tokens.

    Args:
        rules: MergeRules.
        byte_ids: list of 256 ints. The id of each byte; -1 for a byte that is left out.
        vocabulary_size: int.
    Reference: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, section 3.2.
    """

    def __init__(self, rules: MergeRules, byte_ids, vocabulary_size):
        super().__init__(name="pair_merger")
        self._vocabulary_size = vocabulary_size
        self._ordered = rules.ordered
        with tf.init_scope():
            self._byte_ids = tf.constant(byte_ids, tf.int32)
            self._leaves_out = min(byte_ids) < 0
            # One more entry each: a list without rules must still make a table.
            self._results = tf.constant(np.append(rules.results, 0), tf.int32)
            keys = np.append(rules.keys, -1)
            values = np.append(rules.values, _OUT_OF_REACH)
            self._pairs = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys, tf.int64), tf.constant(values, tf.int64)
                ),
                default_value=_OUT_OF_REACH,
            )

    def merge(self, words):
        """Encodes each word.

        Args:
            words: string (W,). Bytes of any kind, none empty.
        Returns:
            values: int32 (n,). The ids of all words, concatenated.
            splits: int64 (W + 1,). Word boundaries in `values`, from 0 to n.
        """
        data = tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8)
        symbols = tf.gather(self._byte_ids, tf.cast(data, tf.int32))
        word_ends = tf.cumsum(tf.strings.length(words))
        if self._leaves_out:
            known = symbols >= 0
            counts = tf.concat([[0], tf.cumsum(tf.cast(known, tf.int32))], 0)
            symbols, word_ends = tf.boolean_mask(symbols, known), tf.gather(counts, word_ends)
        size = tf.size(symbols)
        # One more element in front: a word of which nothing is left may end at 0.
        ends = tf.scatter_nd(word_ends[:, None], tf.ones_like(word_ends), [size + 1])[1:] > 0
        _, _, _, final = tf.while_loop(
            lambda symbols, positions, ends, final: tf.size(symbols) > 0,
            self._merge_round,
            [symbols, tf.range(size), ends, tf.fill([size], -1)],
            shape_invariants=[tf.TensorShape([None])] * 4,
        )
        kept = tf.where(final >= 0)[:, 0]
        starts = tf.concat([[0], word_ends], 0)
        splits = tf.searchsorted(kept, tf.cast(starts, tf.int64), out_type=tf.int64)
        return tf.gather(final, kept), splits

    def _merge_round(self, symbols, positions, ends, final):
        """Merges what may merge at once; finished segments leave for `final`.

        Args:
            symbols: int32 (n,). The symbols that may still merge.
            positions: int32 (n,). Where each of them begins among the bytes.
            ends: bool (n,). Whether a segment ends behind the symbol.
            final: int32 (bytes,). The id where a finished symbol begins, elsewhere -1.
        """
        ranks, bounds = self._look_up(symbols, ends)
        ends = bounds == NEVER
        segments = tf.cumsum(tf.cast(ends, tf.int32), exclusive=True)
        lowest = tf.gather(tf.math.segment_min(ranks, segments), segments)
        active = lowest < NEVER
        merging = self._choose(ranks, bounds, lowest, segments)
        gone = _shift_right(merging, False)
        symbols = tf.where(merging, tf.gather(self._results, tf.where(merging, ranks, 0)), symbols)
        ends = tf.where(merging, tf.concat([ends[1:], [True]], 0), ends)

        done = tf.where(~active)
        final = tf.tensor_scatter_nd_update(
            final, tf.gather(positions, done), tf.gather(symbols, done[:, 0])
        )
        kept = tf.where(active & ~gone)[:, 0]
        return tf.gather(symbols, kept), tf.gather(positions, kept), tf.gather(ends, kept), final

    def _look_up(self, symbols, ends):
        """The rank and the bound of each symbol with its right neighbour, two int32 (n,)."""
        following = tf.concat([symbols[1:], [0]], 0)
        keys = tf.cast(symbols, tf.int64) * self._vocabulary_size + tf.cast(following, tf.int64)
        found = self._pairs.lookup(keys)
        ranks = tf.cast(tf.bitwise.right_shift(found, _RANK_BITS), tf.int32)
        bounds = tf.cast(tf.bitwise.bitwise_and(found, NEVER), tf.int32)
        return tf.where(ends, NEVER, ranks), tf.where(ends, NEVER, bounds)

    def _choose(self, ranks, bounds, lowest, segments):
        """Whether each symbol merges with its right neighbour now, bool (n,)."""
        has_rule = ranks < NEVER
        if self._ordered:
            first = has_rule & (ranks == lowest)
        else:
            # The result may have a lower rank than an equal pair further right: one at a time.
            index = tf.range(tf.size(ranks))
            at_lowest = tf.where(has_rule & (ranks == lowest), index, NEVER)
            first = index == tf.gather(tf.math.segment_min(at_lowest, segments), segments)
        left, right = _shift_right(bounds, NEVER), tf.concat([bounds[1:], [NEVER]], 0)
        candidates = first | (has_rule & (ranks <= left) & (ranks <= right))
        # Overlapping candidates are of one rule, (a, a): every second pair of such a run merges,
        # counted from its left end, if nothing can yet grow into an `a` there.
        begins = candidates & ~_shift_right(candidates, False)
        runs = tf.cumsum(tf.cast(begins, tf.int32))
        starts = tf.concat([[0], tf.where(begins)[:, 0]], 0)
        start = tf.cast(tf.gather(starts, runs), tf.int32)
        even = tf.bitwise.bitwise_and(tf.range(tf.size(ranks)) - start, 1) == 0
        settled = first | (ranks < left)
        return candidates & even & tf.gather(settled, start)


def _shift_right(values, filler):
    return tf.concat([[filler], values[:-1]], 0)
