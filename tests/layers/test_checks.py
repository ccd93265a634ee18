"""The checks that the layers share: what they let through and what they refuse."""

import numpy as np
import pytest

from lmzoo.layers.checks import (
    check_choice,
    check_even,
    check_length,
    check_positive,
    check_rate,
    check_size,
)


def test_good_arguments_pass():
    check_size(a=1, b=np.int32(7), c=None)
    check_positive(a=1, b=1e-12, c=np.float32(2), d=None)
    check_rate(a=0, b=0.0, c=0.999)
    check_even(a=2, b=0)
    check_choice(("x", "y"), a="y")


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(size):
    with pytest.raises(ValueError, match=f"`width` must be positive. Received: width={size}"):
        check_size(width=size)
    with pytest.raises(ValueError, match=f"`width` must be at least 2. Received: width={size}"):
        check_size(2, width=size)


def test_what_is_not_among_the_choices_is_refused():
    with pytest.raises(ValueError, match="`kind` must be one of x, y. Received: kind='z'"):
        check_choice(("x", "y"), kind="z")


@pytest.mark.parametrize("size", [1.0, "3", True, [2]])
def test_a_size_of_another_type_is_refused(size):
    with pytest.raises(TypeError, match="`width` must be an int. Received: width=") as caught:
        check_size(width=size)
    assert repr(size) in str(caught.value)


@pytest.mark.parametrize("value", [0, -1e-5, float("inf"), float("nan"), "1", False])
def test_what_is_no_positive_number_is_refused(value):
    with pytest.raises(ValueError, match=f"`epsilon` must be .* Received: epsilon={value!r}"):
        check_positive(epsilon=value)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), None, "half"])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=f"`dropout` must be .* Received: dropout={rate!r}"):
        check_rate(dropout=rate)


def test_an_odd_size_is_refused():
    with pytest.raises(ValueError, match="`head_dim` must be even. Received: head_dim=3"):
        check_even(head_dim=3)


def test_a_length_beyond_the_positions_is_refused_where_it_is_known():
    check_length(5, 5)
    check_length(None, 5)
    with pytest.raises(ValueError, match="Received: length=6, max_sequence_length=5"):
        check_length(6, 5)
