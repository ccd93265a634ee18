import pytest

from lmzoo.tokenizers.byte_pair.merge_table import NEVER, MergeRules

PIECES = [b"a", b"b", b"c", b"ab", b"abc", b"bc", b"aab"]


def look_up(rules, left, right):
    found = dict(zip(rules.keys.tolist(), rules.values.tolist(), strict=True))
    value = found.get(left * len(PIECES) + right, NEVER << 30 | NEVER)
    return value >> 30, value & NEVER


def test_ranks_and_bounds():
    rules = MergeRules.build([(0, 1, 3), (3, 2, 4)], PIECES)
    assert look_up(rules, 0, 1) == (0, 0)
    assert look_up(rules, 3, 2) == (1, 1)
    # No rule merges b with c, but b may become the end of ab, which does.
    assert look_up(rules, 1, 2) == (NEVER, 1)
    assert look_up(rules, 2, 0) == (NEVER, NEVER)
    assert rules.results.tolist() == [3, 4] and rules.ordered


def test_a_bound_runs_over_every_way_to_make_a_token():
    rules = MergeRules.build([(0, 1, 3), (1, 2, 5), (0, 5, 4), (3, 2, 4), (0, 3, 6)], PIECES)
    assert look_up(rules, 1, 2) == (1, 1)
    assert look_up(rules, 0, 0) == (NEVER, 4)


def test_a_rule_before_its_parts_is_noticed():
    assert not MergeRules.build([(3, 2, 4), (0, 1, 3)], PIECES).ordered
    # abc is made by the last rule too, so what uses it at rank 2 may yet come.
    pieces = [*PIECES, b"abca"]
    rules = [(0, 1, 3), (3, 2, 4), (4, 0, 7), (1, 2, 5), (0, 5, 4)]
    assert not MergeRules.build(rules, pieces).ordered


def test_rules_that_nest_too_deeply_are_refused():
    pieces = [b"a" * size for size in range(1, 2001)]
    rules = [(0, size - 1, size) for size in range(1, 2000)]
    with pytest.raises(ValueError, match="`merges` must not nest .* 1999 of them .* Received: "):
        MergeRules.build(rules, pieces)
    fan = [(size, size, 2 * size + 1) for size in range(1000)]
    both = [(0, size - 1, size) for size in range(1, 700)] + [
        (size - 1, 0, size) for size in range(1, 700)
    ]
    with pytest.raises(ValueError, match="`merges` must not nest .* Received: "):
        MergeRules.build(both + fan, pieces)
