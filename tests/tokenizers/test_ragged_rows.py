import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts


@pytest.mark.parametrize("lengths", [[2, 0, 3], [0, 0], [], [0, 1, 0, 0, 2, 0], [5]])
def test_every_element_knows_its_row_and_rows_their_first(lengths):
    splits = tf.constant(np.cumsum([0, *lengths]))
    expected = np.repeat(np.arange(len(lengths)), lengths)
    assert find_segments(splits).numpy().tolist() == expected.tolist()
    starts = np.array([place for length in lengths for place in range(length)]) == 0
    assert mark_starts(splits).numpy().tolist() == starts.tolist()


def test_one_long_row_among_many_empty_ones_takes_no_more_memory():
    # As a mask, rows by longest row, these would be 50 TB.
    splits = tf.concat([tf.zeros([10_000_000], tf.int64), [5_000_000]], 0)
    assert int(find_segments(splits)[-1]) == 10_000_000 - 1
