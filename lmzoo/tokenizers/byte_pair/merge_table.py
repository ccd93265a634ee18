"""The merges of a byte-pair encoding, as arrays for look-ups in a graph."""

import dataclasses

import numpy as np

__all__ = ["NEVER", "MergeRules"]

# A rank beyond that of every merge: it fits 31 bits, and two ranks fit one int64 value of a table.
NEVER = (1 << 30) - 1
_RANK_BITS = 30
_MAX_ENTRIES_PER_RULE = 200


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
