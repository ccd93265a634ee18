"""How sizes, records and rows are printed."""

import pytest

from lmzoo.printing import format_bytes, print_json, print_rows


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0.0 kB"),
        (99_900, "99.9 kB"),
        (100_000, "0.1 MB"),
        (497_759_232, "497.8 MB"),
        (6_230_444_800, "6.2 GB"),
    ],
)
def test_a_size_has_the_unit_that_suits_it(size, text):
    assert format_bytes(size) == text


def test_rows_and_records_are_printed_as_they_are(capsys):
    print_rows([("name", "a"), ("labels", None), ("zero", 0)])
    assert capsys.readouterr().out == (
        "name               a\nlabels             none\nzero               0\n"
    )
    print_json({"text": "喜"})
    assert capsys.readouterr().out == '{\n  "text": "喜"\n}\n'
