import importlib.util
import pathlib
import unicodedata

import numpy as np
import pytest

from lmzoo.tokenizers.unicode import bert_characters
from lmzoo.tokenizers.unicode.bert_characters import (
    IRREGULAR,
    ISOLATED,
    LETTER,
    MOVES,
    SPACE,
    make_bert_tables,
    make_decomposition_tables,
    read_combining_classes,
)


def describe(tables, point):
    """The entries that a code point becomes."""
    entry = int(tables.entries[point]) % MOVES
    if entry < IRREGULAR:
        return [entry]
    row = entry - IRREGULAR
    if row >= len(tables.splits) - 1:
        return []
    return tables.expansions[tables.splits[row] : tables.splits[row + 1]].tolist()


@pytest.fixture(scope="module")
def uncased():
    return make_bert_tables(True, True, True)


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("a", [LETTER + ord("a")]),
        ("É", [LETTER + ord("e")]),
        ("İ", [LETTER + ord("i")]),
        ("ß", [LETTER + ord("ß")]),
        ("Σ", [LETTER + ord("σ")]),
        ("ﬁ", [LETTER + ord("ﬁ")]),
        ("각", [LETTER + ord(c) for c in "\u1100\u1161\u11a8"]),
        ("\u0301", []),
        ("\xad", []),
        ("\x00", []),
        ("\ufffd", []),
        ("\n", [SPACE + ord("\n")]),
        ("\u2028", [SPACE + 0x2028]),
        ("$", [ISOLATED + ord("$")]),
        ("\u037e", [ISOLATED + ord(";")]),
        ("我", [ISOLATED + ord("我")]),
        ("豈", [ISOLATED + 0x8C48]),
        ("\U0001d160", [LETTER + point for point in (0x1D158, 0x1D165, 0x1D16E)]),
    ],
)
def test_what_becomes_of_a_character(uncased, character, expected):
    assert describe(uncased, ord(character)) == expected


@pytest.mark.parametrize(
    "make", [lambda: make_bert_tables(True, True, True), make_decomposition_tables]
)
def test_what_is_deleted_takes_no_row_of_a_table(make):
    tables = make()
    # Planes of code points for private use are deleted. Hangul has the most syllables in several.
    assert describe(tables, 0xF0000) == describe(tables, 0x10FFFD) == []
    assert np.diff(tables.splits).min() > 1 and 11_172 < len(tables.splits) < 14_000


def test_options_that_are_off_leave_characters_alone():
    tables = make_bert_tables(False, False, False)
    for character in "É각\u0301我Σ":
        assert describe(tables, ord(character)) == [LETTER + ord(character)]
    assert describe(make_bert_tables(True, False, True), ord("İ")) == [
        LETTER + ord(part) for part in "i\u0307"
    ]


def test_characters_move_that_stay_and_have_an_order(uncased):
    moving = np.flatnonzero(uncased.entries >= MOVES)
    assert {0x302E, 0x1D165, 0x1D160} <= set(moving.tolist())
    assert not {0x301, ord("É"), 0xAC01} & set(moving.tolist())
    assert (make_bert_tables(True, False, True).entries < MOVES).all()


def test_decomposition_and_order_are_those_of_unicode():
    # Python's own tables; the library's are a little older or newer, so a few may differ.
    tables, orders = make_decomposition_tables(), read_combining_classes()
    points = [point for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    wrong = [
        point
        for point in points
        if describe(tables, point)
        not in ([*map(ord, unicodedata.normalize("NFD", chr(point)))], [])
    ]
    assert len(wrong) < 20
    combining = np.array([unicodedata.combining(chr(point)) for point in points])
    known = (combining > 0) & (orders[points] > 0)
    assert known.sum() > 700
    assert len(set(zip(combining[known], orders[points][known], strict=True))) == len(
        set(orders[points][known])
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert_characters", "code_point_classes"])
def test_the_file_is_what_its_script_makes(name):
    root = pathlib.Path(__file__).parents[3]
    path = root / "tests" / "golden" / f"make_{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arrays = script.make_arrays()
    file = pathlib.Path(bert_characters.__file__).with_name(f"{name}.npz")
    with np.load(file, allow_pickle=False) as stored:
        assert set(stored) == set(arrays)
        for key in stored:
            np.testing.assert_array_equal(stored[key], arrays[key])
