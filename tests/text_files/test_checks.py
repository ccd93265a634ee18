import pytest

from lmzoo.text_files.checks import check_at_least, check_unicode, describe_value


@pytest.mark.parametrize(
    "value",
    ["a", b"a", ["a"], [], (), (1,), (1, "b"), {"a": [None, {}]}, 1.5, True, -(10**300), "é\n'"],
)
def test_a_short_value_is_described_by_its_repr(value):
    assert describe_value(value) == repr(value) or len(repr(value)) > 80


def test_a_long_value_is_truncated():
    assert describe_value("x" * 1000) == "'" + "x" * 76 + "..."
    numbers = list(range(100))
    assert describe_value(numbers) == repr(numbers)[:77] + "..."
    assert describe_value({"a": numbers}) == repr({"a": numbers})[:77] + "..."


def test_a_value_is_not_written_out_beyond_what_is_shown():
    class Counted(int):
        count = 0

        def __repr__(self):
            Counted.count += 1
            return "counted"

    describe_value([Counted() for _ in range(1000)])
    assert 0 < Counted.count < 20
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert describe_value(nested) == "[" * 77 + "..."
    # Python refuses to write integers of so many digits.
    assert describe_value(10**5000) == "an integer of 16610 bits"


def test_a_number_below_the_least_is_named():
    check_at_least(1, size=1, other=5)
    for number in (0, 1.0, "2", None):
        with pytest.raises(ValueError, match=r"`size` must be an integer of at least 1"):
            check_at_least(1, other=3, size=number)


@pytest.mark.parametrize("half", ["\ud800", "\udfff"])
def test_half_of_a_surrogate_pair_is_no_text(half):
    assert check_unicode("prefix", "a\U0001f600\ue000\ud7ff") == "a\U0001f600\ue000\ud7ff"
    with pytest.raises(ValueError, match=rf"`prefix` must .* Received: .a.u{ord(half):x}"):
        check_unicode("prefix", f"a{half}")
