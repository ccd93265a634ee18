"""Masks, place by place."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers import (
    make_causal_mask,
    make_document_mask,
    make_padding_mask,
    make_window_mask,
)


@pytest.mark.parametrize("window", [None, 1, 2, 5, 100])
@pytest.mark.parametrize(("length", "slots", "position"), [(5, 5, 0), (3, 9, 4), (1, 6, 5)])
def test_a_query_sees_its_own_slot_and_those_before_in_the_window(length, slots, position, window):
    mask = make_causal_mask(length, slots, position, window)
    expected = [
        [
            key <= q + position and (window is None or q + position - key < window)
            for key in range(slots)
        ]
        for q in range(length)
    ]
    np.testing.assert_array_equal(mask, [expected])
    assert mask.dtype == "bool"


def test_lengths_and_position_may_be_tensors():
    made = tf.function(make_causal_mask)(*(tf.constant(x) for x in (3, 9, 4)))
    np.testing.assert_array_equal(made, make_causal_mask(3, 9, 4))


@pytest.mark.parametrize(("window", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError)])
def test_a_window_that_is_no_size_is_refused(window, error):
    with pytest.raises(error, match=f"window={window}"):
        make_causal_mask(3, 3, window=window)


@pytest.mark.parametrize("distance", [1, 3, 100])
def test_a_token_attends_to_its_neighbours_on_both_sides(distance):
    expected = [[abs(key - query) <= distance for key in range(7)] for query in range(7)]
    mask = tf.function(make_window_mask)(tf.constant(7), distance)
    np.testing.assert_array_equal(mask, [expected])


@pytest.mark.parametrize(("distance", "error"), [(0, ValueError), (1.5, TypeError)])
def test_a_distance_that_is_no_size_is_refused(distance, error):
    with pytest.raises(error, match=f"distance={distance}"):
        make_window_mask(3, distance)


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_padding_is_hidden_from_every_query(dtype):
    mask = make_padding_mask(np.array([[1, 1, 0], [0, 1, 1]], dtype))
    assert mask.dtype == "bool"
    np.testing.assert_array_equal(mask, [[[True, True, False]], [[False, True, True]]])


def test_a_document_sees_itself_alone():
    ids = np.array([[0, 0, 1], [7, 3, 7]])
    mask = make_document_mask(ids)
    for b, t, s in np.ndindex(2, 3, 3):
        assert bool(mask[b, t, s]) == (ids[b, t] == ids[b, s])
