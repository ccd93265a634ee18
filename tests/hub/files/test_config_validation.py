import pytest

from lmzoo.hub.files.config_validation import (
    read_choice,
    read_flag,
    read_number,
    read_size,
    read_text,
)


def test_what_is_in_its_range_is_read_and_what_is_missing_is_the_default():
    config = {"size": 3, "number": 1, "flag": False, "choice": "b", "nothing": None}
    assert read_size(config, "size", 1, 3) == 3
    assert read_size(config, "absent", 2, 3) == 2
    assert read_size(config, "nothing", 2, 3, optional=True) is None
    assert read_number(config, "number", 0.5, 0, 1) == 1.0
    assert isinstance(read_number(config, "number", 0.5, 0, 1), float)
    assert read_number(config, "absent", 0.5, 0, 1) == 0.5
    assert read_flag(config, "flag", True) is False
    assert read_flag(config, "absent", True) is True
    assert read_flag(config, "nothing", True, optional=True) is None
    assert read_choice(config, "choice", "a", ("a", "b")) == "b"
    assert read_choice(config, "absent", "a", ("a", "b")) == "a"
    assert read_text(config, "choice", "", 1) == "b"
    assert read_text(config, "absent", "c", 1) == "c"


@pytest.mark.parametrize("value", [0, 4, -1, 1.0, True, "1", None, [1], {"a": 1}, 10**4000])
def test_a_size_is_a_whole_number_in_its_range(value):
    with pytest.raises(ValueError) as caught:
        read_size({"x": value}, "x", 1, 3)
    wanted = f"`x` must be an integer from 1 to 3. Received: x={value!r:.80}."
    assert str(caught.value) == wanted


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), True, "1", None, [1]])
def test_a_number_is_finite_and_in_its_range(value):
    with pytest.raises(ValueError) as caught:
        read_number({"x": value}, "x", 1, 0, 1)
    assert str(caught.value) == f"`x` must be a number from 0 to 1. Received: x={value!r}."


@pytest.mark.parametrize("value", [0, 1, "true", None, [True]])
def test_a_flag_is_true_or_false(value):
    with pytest.raises(ValueError) as caught:
        read_flag({"x": value}, "x", True)
    assert str(caught.value) == f"`x` must be true or false. Received: x={value!r}."


@pytest.mark.parametrize("value", ["c", "", "a, b", None, 1, ["a"], {"a": "b"}, "a" * 200])
def test_a_choice_is_one_of_the_names(value):
    with pytest.raises(ValueError) as caught:
        read_choice({"x": value}, "x", "a", ("a", "b"))
    assert str(caught.value) == f"`x` must be one of a, b. Received: x={value!r:.80}."


@pytest.mark.parametrize("value", ["abc", 1, None, ["a"], {"a": "b"}])
def test_a_text_is_a_string_and_not_too_long(value):
    with pytest.raises(ValueError) as caught:
        read_text({"x": value}, "x", "", 2)
    assert str(caught.value) == (
        f"`x` must be a string of at most 2 characters. Received: x={value!r}."
    )


def test_a_missing_field_without_a_default_is_refused():
    with pytest.raises(ValueError, match="`x` must be an integer from 1 to 3. Received: x=None"):
        read_size({}, "x", None, 3)


def test_an_optional_field_says_so():
    with pytest.raises(ValueError, match="from 1 to 3 or null. Received: x=0"):
        read_size({"x": 0}, "x", None, 3, optional=True)
    with pytest.raises(ValueError, match="true, false or null. Received: x=0"):
        read_flag({"x": 0}, "x", None, optional=True)


def test_a_size_may_begin_elsewhere():
    assert read_size({"n": 0}, "n", 1, 9, lowest=0) == 0
    with pytest.raises(ValueError, match="from 0 to 9. Received: n=-1"):
        read_size({"n": -1}, "n", 1, 9, lowest=0)
