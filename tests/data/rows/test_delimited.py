import csv
import io
import random
import re

import pytest

from lmzoo.data.rows.delimited import plain_records, quoted_records, split_quoted
from lmzoo.text_files.bounded_reading import ReadLimits


def lines_of(content):
    offset = 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        yield number, offset, line
        offset += len(line)


def split_all(content, delimiter=","):
    records = quoted_records(lines_of(content), delimiter, "a.csv", ReadLimits())
    return [split_quoted(text.decode().rstrip("\r\n"), delimiter) for _, _, text in records]


def test_lines_are_records_and_empty_ones_are_none():
    content = b'a\t"b\n\n\r\n \nc\td"\r\n'
    assert list(plain_records(lines_of(content))) == [
        (1, 0, b'a\t"b\n'),
        (4, 8, b" \n"),
        (5, 10, b'c\td"\r\n'),
    ]


def test_a_quoted_record_goes_on_over_line_ends():
    content = b'a,b\n\n"one\n\ntwo, ""x""",c\nlast,"\n"'
    assert list(quoted_records(lines_of(content), ",", "a.csv", ReadLimits())) == [
        (1, 0, b"a,b\n"),
        (3, 5, b'"one\n\ntwo, ""x""",c\n'),
        (6, 25, b'last,"\n"'),
    ]
    assert split_all(content) == [["a", "b"], ['one\n\ntwo, "x"', "c"], ["last", "\n"]]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (",", ["", ""]),
        ('"",', ["", ""]),
        ('""""', ['"']),
        ('5" screen,6"', ['5" screen', '6"']),
        ('a,"b""c"', ["a", 'b"c']),
        (' "a", b', [' "a"', " b"]),
    ],
)
def test_fields_are_what_python_reads_too(text, fields):
    assert split_quoted(text, ",") == fields
    assert next(csv.reader([text])) == fields


@pytest.mark.parametrize(("delimiter", "end"), [(",", "\n"), (";", "\r\n"), ("\t", "\n")])
def test_whatever_python_writes_is_read_back(delimiter, end):
    draw = random.Random(0)
    alphabet = ["a", "é", '"', '""', ",", ";", "\t", " ", "\n", "\r\n", "'", "\\"]
    table = [
        ["x", *("".join(draw.choices(alphabet, k=draw.randrange(6))) for _ in range(3))]
        for _ in range(500)
    ]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(table)
    assert split_all(file.getvalue().encode(), delimiter) == table


def test_an_unclosed_quote_is_named():
    content = b'a,"b\nc,d\n'
    ((number, offset, text),) = quoted_records(lines_of(content), ",", "a.csv", ReadLimits())
    assert (number, offset, text) == (1, 0, content)
    with pytest.raises(ValueError, match=re.escape("must end with one. Received: '\"b\\nc,d'")):
        split_quoted(text.decode().rstrip("\n"), ",")


def test_a_closing_quote_ends_the_field():
    with pytest.raises(ValueError, match=re.escape("be before ','") + ".*Received: '\" c,d'"):
        split_quoted('a,"b" c,d', ",")


def test_a_quote_that_stays_open_is_refused_at_the_limit():
    lines = lines_of(b'a,b\n"c,d\n' + b"x\n" * 50)
    with pytest.raises(ValueError, match=r"a.csv:2: A record must have at most 40 bytes. Received"):
        list(quoted_records(lines, ",", "a.csv", ReadLimits(max_record_bytes=40)))
