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

import dataclasses

import numpy as np
import tensorflow as tf

__all__ = ["NEVER", "MergeRules", "PairMerger"]

# A rank beyond that of every merge: it fits 31 bits, and two ranks fit one int64 value of a table.
NEVER = (1 << 30) - 1
_RANK_BITS = 30
_MAX_ENTRIES_PER_RULE = 200
_OUT_OF_REACH = NEVER << _RANK_BITS | NEVER


@dataclasses.dataclass(frozen=True)
class MergeRules:
    """Which neighbouring symbols merge, in which order, and which could merge later.

    The rank of a merge is its index in the list. The *bound* of two neighbours (a, b) is the lowest
    rank of any merge that could join them, now or after a has been merged with what is on its left,
    and b with what is on its right. In such merges a stays at the right edge of the result. So the
    bound is the minimum over all merges (x, y) with a at the right edge of x's derivation and b at
    the left edge of y's.

    Attributes:
        keys: int64 (P,). `left * vocabulary_size + right` of each pair of ids that has a bound.
        values: int64 (P,). `rank << 30 | bound` of the pair; the rank is `NEVER` if the pair has
            a bound but no rule of its own.
        results: int32 (R,). The id that each merge makes.
        ordered: bool. Whether each merge stands behind the merges that make its parts, as in every
            list that was trained. Then the result of a merge never merges at a lower rank.
    """

    keys: np.ndarray
    values: np.ndarray
    results: np.ndarray
    ordered: bool

    @classmethod
    def build(cls, rules, pieces):
        """Makes the arrays.

        Args:
            rules: list of (left id, right id, made id), by rank.
            pieces: sequence of bytes, by id.
        Returns:
            MergeRules.
        Raises:
            ValueError: if the rules nest so deeply that the bounds would fill the memory.
        """
        left_edges, right_edges = _find_edges(rules, pieces)
        _check_bounds(rules, left_edges, right_edges)
        size = len(pieces)
        bounds = {}
        for rank, (left, right, _) in enumerate(rules):
            for outer in right_edges.get(left, (left,)):
                for inner in left_edges.get(right, (right,)):
                    bounds.setdefault(outer * size + inner, rank)
        ranks = {left * size + right: rank for rank, (left, right, _) in enumerate(rules)}
        keys = np.fromiter(bounds, np.int64, len(bounds))
        own = np.fromiter((ranks.get(key, NEVER) for key in bounds), np.int64, len(bounds))
        values = own << _RANK_BITS | np.fromiter(bounds.values(), np.int64, len(bounds))
        results = np.array([made for _, _, made in rules], np.int32)
        return cls(keys, values, results, _are_ordered(rules))


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


def _find_edges(rules, pieces):
    """For each id, the ids at the left and at the right edge of its derivations."""
    left_edges, right_edges = {}, {}
    entries = 0
    # Parts are shorter than what they make, so by length each one's edges are there before use.
    for left, right, made in sorted(rules, key=lambda rule: len(pieces[rule[2]])):
        for edges, part in ((left_edges, left), (right_edges, right)):
            found = edges.setdefault(made, {made: None})
            found.update(dict.fromkeys(edges.get(part, (part,))))
            entries += len(found)
        _check_entries(entries, rules)
    return left_edges, right_edges


def _check_bounds(rules, left_edges, right_edges):
    entries = 0
    for left, right, _ in rules:
        entries += len(right_edges.get(left, (left,))) * len(left_edges.get(right, (right,)))
    _check_entries(entries, rules)


def _check_entries(entries, rules):
    # A trained vocabulary takes about ten; a hostile one could take as many as it has tokens.
    if entries > _MAX_ENTRIES_PER_RULE * (len(rules) + 1000):
        raise ValueError(
            f"`merges` must not nest so deeply that {len(rules)} of them take more than "
            f"{_MAX_ENTRIES_PER_RULE} table entries each. Received: {entries} entries and more."
        )


def _are_ordered(rules):
    last_made = {}
    for rank, (_, _, made) in enumerate(rules):
        last_made[made] = rank
    return all(
        last_made.get(part, -1) < rank
        for rank, (left, right, _) in enumerate(rules)
        for part in (left, right)
    )
