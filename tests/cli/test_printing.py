"""How sizes, records and rows are printed."""

import json

import pytest

from lmzoo.cli.printing import format_bytes, make_printable, print_json, print_rows


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


def test_what_would_steer_a_terminal_is_not_printed(capsys):
    text = "a\x1b[0m\r\nb\x7f\x9b\u200f\U000e0001\udc80 é喜"
    assert make_printable(text) == "a?[0m??b????? é喜"
    print_rows([(text, text)])
    assert capsys.readouterr().out == f"{make_printable(text):18} {make_printable(text)}\n"
    print_json([text])
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.split("\n")) and "é喜" in printed
    assert json.loads(printed) == [text]
