"""The rules of a byte-pair encoding as arrays a graph can look things up in."""

import dataclasses

import numpy as np

__all__ = ["NEVER", "MergeRules"]

# A rank beyond every rule's: it fits 31 bits, and two ranks fit one int64 value of a table.
NEVER = (1 << 30) - 1
_RANK_BITS = 30
_MAX_ENTRIES_PER_RULE = 200


@dataclasses.dataclass(frozen=True)
class MergeRules:
    """Which neighbouring symbols merge, in which order, and which ever could.

    The rank of a rule is its place in the list. The *bound* of two neighbours (a, b) is the lowest
    rank of any rule that could merge across the border between them, now or once a has grown to
    the left and b to the right. Growing, a stays at the right end of whatever it becomes part of,
    so the bound runs over all rules (x, y) with a at the right edge of x's derivation and b at the
    left edge of y's.

    Attributes:
        keys: int64 (P,). `left * vocabulary_size + right` of each pair of ids that has a bound.
        values: int64 (P,). `rank << 30 | bound` of the pair; the rank is `NEVER` if the pair has
            a bound but no rule of its own.
        results: int32 (R,). The id each rule makes.
        ordered: bool. Whether each rule stands behind the rules that make its parts, as in every
            list that was learned; what a merge makes then never merges at a lower rank.
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
    # A learned vocabulary takes about ten; a hostile one could take as many as it has tokens.
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
