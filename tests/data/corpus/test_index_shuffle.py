import collections

import numpy as np
import pytest

from lmzoo.data.corpus.index_shuffle import shuffle_indices, uniform_noise

GOLDEN = [5, 2, 8, 6, 0, 4, 9, 7, 1, 3]
GOLDEN_LARGE = 107775881990


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097])
def test_every_index_comes_once(size):
    for epoch in range(3):
        order = shuffle_indices(np.arange(size), size, seed=5, epoch=epoch)
        np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_epochs_and_seeds_differ():
    orders = {
        tuple(shuffle_indices(np.arange(50), 50, seed, epoch))
        for seed in (-1, 0, 1)
        for epoch in range(9)
    }
    assert len(orders) == 27


def test_an_index_alone_finds_the_place_it_has_among_all():
    size = 3000
    order = shuffle_indices(np.arange(size), size, seed=1, epoch=2)
    alone = [
        int(shuffle_indices([index], size, seed=1, epoch=2)[0]) for index in range(0, size, 97)
    ]
    assert alone == order[::97].tolist()


def test_the_order_never_changes_between_releases():
    assert shuffle_indices(np.arange(10), 10, seed=0, epoch=0).tolist() == GOLDEN
    assert int(shuffle_indices([123_456_789], 10**12, seed=7, epoch=3)[0]) == GOLDEN_LARGE


def test_places_are_spread_evenly():
    # 5,000 epochs of 12: each (index, place) is expected 416.7 times; chi-square with 121 degrees
    # of freedom stays below 181 in all but 0.03 % of cases.
    size, epochs = 12, 5000
    counts = np.zeros((size, size))
    for epoch in range(epochs):
        counts[np.arange(size), shuffle_indices(np.arange(size), size, seed=3, epoch=epoch)] += 1
    expected = epochs / size
    assert ((counts - expected) ** 2 / expected).sum() < 181


def test_neighbours_do_not_stay_neighbours():
    order = shuffle_indices(np.arange(10_000), 10_000, seed=0, epoch=0)
    steps = collections.Counter(np.diff(order).tolist())
    assert max(steps.values()) < 10


def test_an_index_outside_is_refused():
    with pytest.raises(ValueError, match=r"Received: indices from 0 to 5, size=5\."):
        shuffle_indices([0, 5], 5, seed=0, epoch=0)
    with pytest.raises(ValueError, match=r"Received: indices from -1 to 0, size=5\."):
        shuffle_indices([0, -1], 5, seed=0, epoch=0)


def test_noise_is_even_and_its_own_for_each_seed():
    noise = uniform_noise(np.arange(20_000), seed=0)
    assert 0 <= noise.min() and noise.max() < 1
    assert abs(noise.mean() - 0.5) < 0.01 and abs(noise.std() - 12**-0.5) < 0.01
    other = uniform_noise(np.arange(20_000), seed=1)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.03
