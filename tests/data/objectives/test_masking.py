import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data.objectives.masking import Masking
from tests.data.small_tokenizers import make_byte_pair, make_word_piece

PAD, UNK, CLS, SEP, MASK = range(5)


@pytest.fixture(scope="module")
def words():
    return make_word_piece()


@pytest.fixture(scope="module")
def byte_pairs():
    return make_byte_pair()


def draw_rows(num_rows, length=40, seed=0):
    """Rows as they are packed: [CLS], words with 0 to 3 further pieces, [SEP], padding."""
    draw = np.random.default_rng(seed)
    rows = np.full((num_rows, length), PAD, np.int32)
    for row in rows:
        ids = [CLS]
        while len(ids) < draw.integers(2, length):
            ids += [draw.integers(5, 45), *draw.integers(45, 125, draw.integers(0, 4))]
            if draw.random() < 0.1:
                ids.append(UNK)
        ids = ids[: length - 1] + [SEP]
        row[: len(ids)] = ids
    return rows


def mask_tokens(masking, rows, seed, num_predictions=None):
    """(masked ids, chosen bool (B, T)), after checks that every answer must pass."""
    inputs = {"token_ids": tf.constant(rows), "kept": tf.constant(7)}
    inputs, labels, weights = masking.apply(inputs, tf.constant(seed, tf.int64), num_predictions)
    assert int(inputs["kept"]) == 7
    positions, labels = inputs["mask_positions"].numpy(), labels.numpy()
    masked, weights = inputs["token_ids"].numpy(), weights.numpy()
    assert positions.dtype == labels.dtype == masked.dtype == np.int32
    chosen = np.zeros(rows.shape, int)
    for row, (places, answers, counts) in enumerate(zip(positions, labels, weights, strict=True)):
        assert set(counts) <= {0.0, 1.0}
        real = places[counts == 1]
        np.testing.assert_array_equal(places[counts == 0], 0)
        np.testing.assert_array_equal(answers[counts == 1], rows[row, real])
        np.add.at(chosen[row], real, 1)
    assert chosen.max(initial=0) <= 1
    np.testing.assert_array_equal(masked[chosen == 0], rows[chosen == 0])
    return masked, chosen.astype(bool)


def test_of_what_is_chosen_eight_tenths_are_masked_and_one_is_another_token(words):
    masking, rows = Masking(words, 0.3), draw_rows(300)
    counts, others = np.zeros(3), []
    for seed in range(10):
        masked, chosen = mask_tokens(masking, rows, seed)
        now, before = masked[chosen], rows[chosen]
        same = now == before
        counts += [(now == MASK).sum(), (~same & (now != MASK)).sum(), same.sum()]
        others.append(now[~same & (now != MASK)])
    # A random token is the old one once in 120 times.
    shares = np.array([0.8, 0.1 * 119 / 120, 0.1 + 0.1 / 120])
    expected = counts.sum() * shares
    assert counts.sum() > 10_000
    # The 0.999 quantile of chi-square with two degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 13.8
    others = np.bincount(np.concatenate(others), minlength=125)
    assert others[:5].sum() == 0
    expected = others.sum() / 120
    # The 0.999 quantile with 119 degrees of freedom.
    assert ((others[5:] - expected) ** 2 / expected).sum() < 172.7


def test_every_place_is_chosen_equally_often(words):
    rows = np.tile(np.r_[CLS, np.arange(5, 25), SEP].astype(np.int32), (500, 1))
    counts = sum(mask_tokens(Masking(words, 0.25), rows, seed)[1].sum(0) for seed in range(8))
    assert counts[0] == counts[-1] == 0
    # Five of twenty are chosen without putting back, so the variance is p (1 - p) a row.
    deviation = (counts[1:-1] - 1000) / np.sqrt(4000 * 0.25 * 0.75)
    # The 0.999 quantile with 19 degrees of freedom (which is what 20 places with one sum have).
    assert (deviation**2).sum() * 19 / 20 < 43.8


@pytest.mark.parametrize("rate", [0.01, 0.15, 0.5, 0.99])
def test_the_share_is_that_of_ordinary_tokens_and_special_ones_are_never_chosen(words, rate):
    rows = draw_rows(200)
    _, chosen = mask_tokens(Masking(words, rate), rows, 3)
    ordinary = rows >= 5
    assert not chosen[~ordinary].any()
    for count, found in zip(ordinary.sum(1), chosen.sum(1), strict=True):
        assert found == (max(1, round(rate * int(count))) if count else 0)


def test_the_same_seed_masks_the_same_and_another_one_other_tokens(words):
    masking, rows = Masking(words), draw_rows(50)
    first, again, other = (mask_tokens(masking, rows, seed)[0] for seed in (11, 11, 12))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(1)[(rows >= 5).sum(1) >= 20].all()


def find_words(rows, continues):
    """For each row its words as lists of places, written from the definition."""
    found = []
    for row in rows:
        words, is_open = [], False
        for place, token in enumerate(row):
            if token < 5:
                is_open = False
                continue
            if is_open and continues[token]:
                words[-1].append(place)
            else:
                words.append([place])
            is_open = True
        found.append(words)
    return found


def test_whole_words_are_complete_and_come_as_near_to_the_share_as_the_next_word_lets_them(words):
    rows = draw_rows(300)
    continues = words.continues_word
    hits, total = 0, 0
    for seed in range(3):
        _, chosen = mask_tokens(Masking(words, 0.3, whole_word=True), rows, seed)
        for row, places in zip(chosen, find_words(rows, continues), strict=True):
            assert all(row[word].all() or not row[word].any() for word in places)
            taken = [word for word in places if row[word[0]]]
            budget = max(1, round(0.3 * sum(map(len, places))))
            assert bool(taken) == bool(places)
            assert len(taken) <= 1 or row.sum() <= budget
            longest = max((len(word) for word in places if word not in taken), default=0)
            assert row.sum() + longest > budget or not longest
            hits, total = hits + row.sum(), total + budget
    assert 0.7 * total < hits < 1.1 * total


def test_a_word_right_behind_a_special_token_is_chosen_as_often_as_others(words):
    # A window may begin inside a word, and then its rest is a word of its own.
    rows = np.tile(np.int32([CLS, 45, 46, 5, 47, 6, 48, UNK, 49, 50, 7, 51, SEP]), (400, 1))
    counts = sum(mask_tokens(Masking(words, 0.5, True), rows, seed)[1].sum(0) for seed in range(5))
    assert (counts[[0, 7, 12]] == 0).all()
    # Five words of two pieces and a share of five: two words a row.
    found = counts[[1, 3, 5, 8, 10]]
    np.testing.assert_array_equal(found, counts[[2, 4, 6, 9, 11]])
    assert found.sum() == 4000
    # The 0.999 quantile of chi-square with four degrees of freedom; drawn without putting back,
    # the counts vary less than it allows.
    assert ((found - 800) ** 2 / 800).sum() < 18.5


def test_the_first_word_of_a_text_is_chosen_with_byte_pairs_too(byte_pairs):
    ids = byte_pairs.tokenize("the cat sat on the mat").numpy()
    row = np.r_[byte_pairs.start_token_id, ids, byte_pairs.end_token_id].astype(np.int32)
    rows = np.tile(row, (400, 1))
    counts = mask_tokens(Masking(byte_pairs, 0.5, True), rows, 1)[1].sum(0)
    first, later = ids[0], byte_pairs.tokenize(" the").numpy()
    assert byte_pairs.continues_word[first] and later.shape == (1,)
    # The same word stands at the front and later on.
    assert 0.8 < counts[1] / counts[np.flatnonzero(row == later[0])[0]] < 1.25


def test_rows_without_ordinary_tokens_have_no_places(words):
    rows = np.array([[CLS, SEP, PAD, PAD], [CLS, 7, SEP, PAD]], np.int32)
    for whole_word in (False, True):
        _, chosen = mask_tokens(Masking(words, 0.15, whole_word), rows, 0)
        assert chosen.sum(1).tolist() == [0, 1]
        inputs, labels, weights = Masking(words, 0.15, whole_word).apply(
            {"token_ids": tf.constant(rows[:1])}, tf.constant(0, tf.int64)
        )
        assert inputs["mask_positions"].shape == labels.shape == weights.shape == (1, 1)
        assert weights.numpy().tolist() == [[0.0]]


def test_a_number_of_places_only_fills_up(words):
    masking, rows = Masking(words, 0.2), draw_rows(30)
    wide = mask_tokens(masking, rows, 4, num_predictions=20)
    np.testing.assert_array_equal(wide, mask_tokens(masking, rows, 4))
    inputs, _, _ = masking.apply({"token_ids": tf.constant(rows)}, tf.constant(4, tf.int64), 20)
    assert inputs["mask_positions"].shape == (30, 20)


def test_a_graph_masks_what_eager_code_masks(words):
    masking, rows = Masking(words, 0.15, True), tf.constant(draw_rows(20))
    graph = tf.function(lambda ids, seed: masking.apply({"token_ids": ids}, seed))
    seed = tf.constant(5, tf.int64)
    ours = masking.apply({"token_ids": rows}, seed)
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(graph(rows, seed)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan"), "0.15", None, True])
def test_a_rate_lies_between_nothing_and_all(words, rate):
    with pytest.raises(ValueError, match=f"Received: mask_rate={rate!r}"):
        Masking(words, rate)


def test_a_tokenizer_without_a_mask_is_refused():
    from lmzoo.tokenizers import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"],
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        mask_token=None,
    )
    with pytest.raises(ValueError, match="Received: mask_token=None"):
        Masking(tokenizer)
