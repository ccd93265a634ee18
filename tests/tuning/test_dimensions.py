"""How a dimension is written, and what is refused."""

import doctest

import pytest

from lmzoo.tuning import dimensions
from lmzoo.tuning.dimensions import read_dimension


@pytest.mark.parametrize(
    ("value", "choices", "ends"),
    [
        (0.1, (0.1,), None),
        ("cosine", ("cosine",), None),
        ([8, 16], (8, 16), None),
        ([0, 0.1], (0.0, 0.1), None),
        ((1e-5, 1e-3), (), (1e-5, 1e-3)),
        ({"min": 1, "max": 4}, (), (1, 4)),
        ({"min": 1, "max": 4.5}, (), (1.0, 4.5)),
        ({"min": 0, "max": 0.3, "step": 0.1}, (0.0, 0.1, 0.2, 0.3), None),
        ({"min": 8, "max": 64, "step": 2, "log": True}, (8, 16, 32, 64), None),
    ],
)
def test_a_dimension_is_a_value_choices_or_a_range(value, choices, ends):
    found = read_dimension("x", value)
    assert found.choices == choices and found.is_fixed == (len(choices) == 1)
    assert ends is None or (found.low, found.high) == ends
    assert [type(each) for each in found.samples] == [type(each) for each in choices or ends]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([], ValueError, r"`x` must have at least one choice. Received: \[\]"),
        ([1, 1], ValueError, r"`x` must have each choice once. Received: \[1, 1\]"),
        ([1, "a"], TypeError, r"`x` must have choices of one type. Received: \[1, 'a'\]"),
        ([None], TypeError, "`x` must have choices that are strings or numbers. Received: None"),
        (True, TypeError, "Received: True"),
        ((1, 2, 3), ValueError, r"`x` must be a range of two numbers. Received: \(1, 2, 3\)"),
        ({"min": 1}, ValueError, r"`x` must be a range with `min`, .*\{'min': 1\}"),
        ({"min": 1, "max": 2, "base": 2}, ValueError, "'base': 2"),
        ({"min": 2, "max": 1}, ValueError, "`x.min` must not exceed `max`. Received: 2 and 1"),
        ({"min": 0, "max": 1, "log": True}, ValueError, "above 0 with `log`. Received: 0"),
        ({"min": 0, "max": 1, "log": 1}, TypeError, "`x.log` must be true or false. Received: 1"),
        ({"min": "a", "max": 1}, TypeError, "`x.min` must be a number. Received: 'a'"),
        ({"min": 0, "max": float("inf")}, TypeError, "`x.max` must be a number. Received: inf"),
        ({"min": 0, "max": 1, "step": 0}, ValueError, "`x.step` must be above 0. Received: 0"),
        ({"min": 0, "max": 1, "step": 1e-6}, ValueError, "at most 1000 values. .*step=1e-06"),
    ],
)
def test_what_is_no_dimension_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        read_dimension("x", value)


def test_the_examples_say_what_is_written_there():
    results = doctest.testmod(dimensions)
    assert results.attempted and not results.failed
