import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tokenizers.byte_pair.merging import NEVER, MergeRules, PairMerger


def merge_one_by_one(symbols, rules):
    """The definition: the lowest rank in the word, the leftmost of them, until there is none."""
    ranks = {(left, right): (rank, made) for rank, (left, right, made) in enumerate(rules)}
    symbols = list(symbols)
    while True:
        found = [
            (*ranks[pair], place)
            for place, pair in enumerate(zip(symbols, symbols[1:], strict=False))
            if pair in ranks
        ]
        if not found:
            return symbols
        _, made, place = min(found, key=lambda item: (item[0], item[2]))
        symbols[place : place + 2] = [made]


def draw_rules(generator, alphabet, count, shuffled):
    """Random rules; shuffled, a rule may stand before those that make its parts."""
    pieces = [bytes([byte]) for byte in range(256)]
    ids = {piece: index for index, piece in enumerate(pieces)}
    pool, pairs = [bytes([byte]) for byte in alphabet], {}
    for _ in range(count):
        left, right = (pool[index] for index in generator.integers(len(pool), size=2))
        if len(left + right) > 12:
            continue
        pairs[left, right] = None
        if left + right not in ids:
            ids[left + right] = len(pieces)
            pieces.append(left + right)
            pool.append(left + right)
    pairs = list(pairs)
    if shuffled:
        generator.shuffle(pairs)
    return [(ids[left], ids[right], ids[left + right]) for left, right in map(tuple, pairs)], pieces


def draw_words(generator, alphabet, count):
    letters = np.frombuffer(alphabet, np.uint8)
    sizes = generator.choice([1, 2, 3, 5, 8, 20, 60], size=count)
    words = [letters[generator.integers(len(letters), size=size)].tobytes() for size in sizes]
    return words + [alphabet[:1] * size for size in range(1, 30)]


def count_differences(seed, shuffled, words=40):
    """How many of some random words come out other than one merge at a time gives them."""
    generator = np.random.default_rng(seed)
    alphabet = b"abcdefgh"[: generator.choice([1, 2, 3, 4, 8])]
    rules, pieces = draw_rules(generator, alphabet, generator.choice([3, 10, 30, 100]), shuffled)
    words = draw_words(generator, alphabet, words)
    merger = PairMerger(MergeRules.build(rules, pieces), range(256), len(pieces))
    values, splits = tf.function(merger.merge)(tf.constant(words))
    merged = tf.RaggedTensor.from_row_splits(values, splits).to_list()
    expected = [merge_one_by_one(word, rules) for word in words]
    return sum(mine != theirs for mine, theirs in zip(merged, expected, strict=True))


@pytest.mark.quick("True")
@pytest.mark.parametrize("shuffled", [False, True])
def test_merging_at_once_ends_where_merging_one_by_one_ends(shuffled):
    assert [count_differences(seed, shuffled) for seed in range(15)] == [0] * 15


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True])
def test_many_rule_lists(shuffled):
    assert not any(count_differences(seed, shuffled, 200) for seed in range(1000, 1150))


class _IgnoreBounds(PairMerger):
    def _choose(self, ranks, bounds, lowest, segments):
        return super()._choose(ranks, tf.where(bounds < NEVER, ranks, NEVER), lowest, segments)


class _IgnoreOrder(PairMerger):
    def __init__(self, rules, *arguments):
        super().__init__(rules, *arguments)
        self._ordered = True


class _IgnoreRuns(PairMerger):
    def _choose(self, ranks, bounds, lowest, segments):
        return (ranks < NEVER) & (ranks == lowest)


@pytest.mark.parametrize(
    ("mutant", "shuffled"), [(_IgnoreBounds, False), (_IgnoreOrder, True), (_IgnoreRuns, False)]
)
def test_the_comparison_finds_a_mutant(monkeypatch, mutant, shuffled):
    monkeypatch.setitem(globals(), "PairMerger", mutant)
    assert any(count_differences(seed, shuffled) for seed in range(30))


def test_a_long_word_takes_few_rounds(byte_pair_tokenizer, monkeypatch):
    rounds = []
    merger = byte_pair_tokenizer._encoder._merger
    original = merger._merge_round
    monkeypatch.setattr(
        merger, "_merge_round", lambda *state: rounds.append(len(state[0])) or original(*state)
    )
    letters = np.random.default_rng(0).integers(97, 123, size=100_000).astype(np.uint8)
    merger.merge(tf.constant([letters.tobytes()]))
    assert len(rounds) < 100 and sum(rounds) < 10 * 100_000, rounds


def test_no_word_gives_nothing():
    merger = PairMerger(MergeRules.build([], [bytes([b]) for b in range(256)]), range(256), 256)
    values, splits = merger.merge(tf.constant([], tf.string))
    assert values.shape == (0,) and splits.numpy().tolist() == [0]


# The table

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
