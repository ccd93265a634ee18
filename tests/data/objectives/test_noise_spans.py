"""The published arithmetic and segmentation, against counting and against all there is to draw."""

import collections
import itertools
import math
import re

import numpy as np
import pytest

from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.objectives.noise_spans import NoiseSpans, compute_span_lengths, make_noise_mask


def draw(num_rows, length, seed=0):
    size = num_rows * (length - 2)
    return uniform_noise(np.arange(size), seed).reshape(num_rows, length - 2)


def runs_of(row):
    """The lengths of the runs of a row of truth values, and the value of the first one."""
    groups = [(value, len(list(group))) for value, group in itertools.groupby(row.tolist())]
    return [size for _, size in groups], groups[0][0]


def test_t5_reads_568_tokens_for_512_positions_and_114_targets():
    assert compute_span_lengths(512, 0.15, 3.0) == (568, 114)
    spans = NoiseSpans.of(568, 0.15, 3.0)
    assert (spans.num_kept, spans.num_noise, spans.num_spans) == (483, 85, 28)


@pytest.mark.parametrize("noise_density", [0.05, 0.15, 0.3, 0.45])
@pytest.mark.parametrize("mean_span_length", [1.0, 2.5, 3.0, 10.0])
def test_a_window_is_the_longest_that_fits_and_fills_the_input(noise_density, mean_span_length):
    for sequence_length in (3, 4, 5, 16, 33, 128, 512, 777):
        fitting = {}
        for length in range(2, 3 * sequence_length):
            num_noise = max(1, min(length - 1, round(length * noise_density)))
            num_spans = max(1, round(num_noise / mean_span_length))
            # Kept tokens, sentinels, end.
            if (filled := length - num_noise + num_spans + 1) <= sequence_length:
                fitting[length] = (filled, num_noise + num_spans + 1)
        longest = max(fitting)
        found = compute_span_lengths(sequence_length, noise_density, mean_span_length)
        assert found == (longest, fitting[longest][1])
        assert fitting[longest][0] == sequence_length


@pytest.mark.parametrize(
    ("length", "noise_density", "mean_span_length"),
    [(568, 0.15, 3.0), (100, 0.5, 2.0), (41, 0.15, 1.0), (2, 0.15, 3.0), (9, 0.9, 8.0)],
)
def test_every_draw_corrupts_what_is_published(length, noise_density, mean_span_length):
    num_rows = 3000
    mask = make_noise_mask(length, noise_density, mean_span_length, draw(num_rows, length))
    num_noise = round(length * noise_density) or 1
    num_spans = round(num_noise / mean_span_length) or 1
    assert mask.shape == (num_rows, length) and mask.dtype == bool
    assert (mask.sum(axis=1) == num_noise).all()
    starts = mask & ~np.pad(mask, [[0, 0], [1, 0]])[:, :-1]
    assert (starts.sum(axis=1) == num_spans).all()
    assert not mask[:, 0].any() and mask[:, -1].all()
    # So the mean length of a span is exact in every row, too.
    assert abs(num_noise / num_spans - mean_span_length) <= mean_span_length / num_spans


def test_every_segmentation_is_equally_likely():
    # 12 tokens, 6 of them corrupted in 3 spans: 6 tokens are split into 3 parts in 10 ways, the
    # corrupted and the kept ones each. Of 20,000 draws each of the 100 pairs is expected 200 times;
    # chi-square with 99 degrees of freedom stays below 149 in all but 0.1 % of cases.
    parts = [cut for cut in itertools.product(range(1, 7), repeat=3) if sum(cut) == 6]
    mask = make_noise_mask(12, 0.5, 2.0, draw(20_000, 12, seed=3))
    counts = collections.Counter(tuple(runs_of(row)[0]) for row in mask)
    pairs = [
        tuple(size for both in zip(kept, noise, strict=True) for size in both)
        for kept in parts
        for noise in parts
    ]
    assert len(pairs) == 100 and set(counts) <= set(pairs)
    assert sum((counts[pair] - 200) ** 2 / 200 for pair in pairs) < 149


def test_span_lengths_have_the_distribution_of_all_segmentations():
    # A span of all cuts of 85 tokens into 28 parts is n long with odds C(84 - n, 26) / C(84, 27).
    # The expectations of lengths 1 to 12 are all above 5; chi-square of 12 classes (11 and one
    # for the rest, 11 degrees of freedom) stays below 31.3 in all but 0.1 % of cases. The spans of
    # a row are not independent but add up, which only makes the number smaller.
    mask = make_noise_mask(568, 0.15, 3.0, draw(400, 568, seed=5))
    counts = collections.Counter(size for row in mask for size in runs_of(row)[0][1::2])
    total = 400 * 28
    odds = {size: math.comb(84 - size, 26) / math.comb(84, 27) for size in range(1, 59)}
    assert sum(odds.values()) == pytest.approx(1.0)
    classes = [(counts[size], odds[size]) for size in range(1, 12)]
    classes.append((total - sum(n for n, _ in classes), 1 - sum(p for _, p in classes)))
    assert all(total * p > 5 for _, p in classes)
    assert sum((n - total * p) ** 2 / (total * p) for n, p in classes) < 31.3


def test_a_row_does_not_depend_on_its_neighbours():
    noise = draw(5, 50)
    together = make_noise_mask(50, 0.15, 3.0, noise)
    for row in range(5):
        alone = make_noise_mask(50, 0.15, 3.0, noise[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 2}, "Received: sequence_length=2"),
        ({"sequence_length": 9.5}, "Received: sequence_length=9.5"),
        ({"sequence_length": "64"}, "Received: sequence_length='64'"),
        ({"noise_density": "a"}, "Received: noise_density='a'"),
        ({"mean_span_length": None}, "Received: mean_span_length=None"),
        ({"noise_density": 0.0}, "Received: noise_density=0.0"),
        ({"noise_density": 1.0}, "Received: noise_density=1.0"),
        ({"noise_density": float("nan")}, "Received: noise_density=nan"),
        ({"mean_span_length": 0.5}, "Received: mean_span_length=0.5"),
        ({"mean_span_length": float("inf")}, "Received: mean_span_length=inf"),
        (
            {"noise_density": 0.8, "mean_span_length": 2.0},
            "Received: noise_density=0.8, mean_span_length=2.0",
        ),
    ],
)
def test_numbers_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        compute_span_lengths(**{"sequence_length": 64, **options})


def test_noise_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"Received: noise.shape=\(3, 7\)"):
        make_noise_mask(10, 0.15, 3.0, np.zeros((3, 7)))
