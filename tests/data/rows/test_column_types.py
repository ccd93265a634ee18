import re

import numpy as np
import pytest

from lmzoo.data.rows.column_types import ColumnType, column_type_of, plain_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", ""),
        (2, 2),
        (2.5, 2.5),
        (True, True),
        (np.int32(3), 3),
        (np.float64(0.5), 0.5),
        (np.str_("é"), "é"),
        (("a", "b"), ["a", "b"]),
        (np.array([1, 2]), [1, 2]),
        (np.array([0.5]), [0.5]),
        ([], []),
        (-(1 << 63), -(1 << 63)),
    ],
)
def test_a_value_becomes_plain_python(value, expected):
    plain = plain_value(value)
    assert plain == expected and type(plain) is type(expected)
    if isinstance(plain, list):
        assert [type(item) for item in plain] == [type(item) for item in expected]


@pytest.mark.parametrize("value", [None, b"a", {"a": 1}, [None], [["a"]], np.zeros((1, 1)), {1}])
def test_other_values_are_refused(value):
    with pytest.raises(TypeError, match=r"string, a number, or a list .* Received: .*\(\w+\)"):
        plain_value(value)


def test_a_list_of_unlike_things_is_refused():
    with pytest.raises(TypeError, match=re.escape("Received: [1, 'a'].")):
        plain_value([1, "a"])
    with pytest.raises(TypeError, match=re.escape("Received: [1, 0.5].")):
        column_type_of([1, 0.5])


def test_an_integer_beyond_64_bits_is_refused():
    with pytest.raises(ValueError, match=rf"Received: {1 << 63}\."):
        plain_value([0, 1 << 63])


def test_a_lone_surrogate_is_refused():
    with pytest.raises(ValueError, match=r"lone surrogate '\\ud800' at character 2 of 'ab\\ud800'"):
        plain_value("ab\ud800")


def test_kinds_say_what_they_are():
    values = ["a", 1, 0.5, True, [], ["a"], [1], [0.5]]
    assert [str(column_type_of(value)) for value in values] == [
        *("a str", "an int", "a float", "an int", "an empty list"),
        *("a list of str", "a list of int", "a list of float"),
    ]


def test_an_empty_list_joins_any_list_and_nothing_else():
    empty, words, text = column_type_of([]), column_type_of(["a"]), column_type_of("a")
    assert empty.join(words) == words.join(empty) == words.join(words) == words
    assert empty.join(empty) == ColumnType(None, is_list=True)
    assert words.join(text) is text.join(words) is empty.join(text) is None
    assert column_type_of([1]).join(words) is column_type_of(1).join(column_type_of(0.5)) is None
