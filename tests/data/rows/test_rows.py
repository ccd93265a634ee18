import re

import numpy as np
import pytest

import lmzoo


@pytest.fixture
def rows():
    return lmzoo.data.make_rows(text=list("abcdefghij"), label=range(10))


def test_a_row_is_found_from_both_ends(rows):
    assert len(rows) == 10 and rows.columns == ("text", "label")
    assert rows[0] == rows[-10] == {"text": "a", "label": 0}
    assert rows[np.int64(9)] == rows[-1] == {"text": "j", "label": 9}
    assert [row["text"] for row in rows] == list("abcdefghij")
    assert repr(rows) == "Rows(10 rows, columns=('text', 'label'))"


@pytest.mark.parametrize("index", [10, -11])
def test_beyond_the_ends_there_is_nothing(rows, index):
    for ask in (rows.__getitem__, rows.place):
        with pytest.raises(IndexError, match=rf"number of rows, 10. Received: index={index}"):
            ask(index)
    with pytest.raises(IndexError, match=rf"number of rows, 10. Received: {index}\."):
        rows.select([0, index])


@pytest.mark.parametrize("index", ["text", 1.0, slice(0, 2)])
def test_an_index_is_an_integer(rows, index):
    with pytest.raises(TypeError, match=re.escape(f"Received: index={index!r}. For several")):
        rows[index]


def test_a_view_takes_its_rows_and_their_places_along(rows):
    view = rows.select([7, -1, 7])
    assert [row["text"] for row in view] == ["h", "j", "h"]
    assert [view.place(index) for index in (0, 1, -1)] == ["index 7", "index 9", "index 7"]
    assert list(view.select(np.array([1]))) == [rows[9]]
    assert len(rows.select([])) == 0 and len(rows) == 10


@pytest.mark.parametrize("indices", [[0.5], ["a"], [[1]], 3])
def test_a_view_is_chosen_by_integers(rows, indices):
    with pytest.raises(TypeError, match=re.escape(f"Received: indices={indices!r}")):
        rows.select(indices)


def test_a_column_is_computed_when_it_is_asked_for(rows):
    asked = []

    def double(row):
        asked.append(row["label"])
        return 2 * row["label"]

    wider = rows.with_column("double", double)
    assert asked == [] and wider.columns == ("text", "label", "double")
    assert wider[3] == {"text": "d", "label": 3, "double": 6} and asked == [3]
    assert rows.columns == ("text", "label") and rows[3] == {"text": "d", "label": 3}


def test_a_later_column_sees_the_ones_before_and_may_replace_them(rows):
    changed = rows.with_column("text", lambda row: row["text"].upper())
    changed = changed.with_column("both", lambda row: (row["text"], "x")).select([2])
    assert list(changed) == [{"text": "C", "label": 2, "both": ["C", "x"]}]
    assert changed.columns == ("text", "label", "both")


@pytest.mark.parametrize("kind", [ValueError, TypeError, UnicodeError])
def test_an_error_in_a_column_names_the_row(rows, kind):
    def fail(row):
        raise kind(f"no {row['text']}")

    expected = TypeError if kind is TypeError else ValueError
    with pytest.raises(expected, match=r"^index 4: no e$"):
        rows.select([4]).with_column("x", fail)[0]


def test_a_computed_value_is_one_that_a_row_may_hold(rows):
    with pytest.raises(TypeError, match=r"^index 1: .* Received: None \(NoneType\)"):
        rows.with_column("x", lambda row: None)[1]


def test_a_column_has_a_name_and_a_function(rows):
    for name in ("", 3):
        with pytest.raises(TypeError, match=re.escape(f"Received: name={name!r}")):
            rows.with_column(name, len)
    with pytest.raises(TypeError, match="Received: function='len'"):
        rows.with_column("x", "len")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_the_sides_of_a_split_share_nothing_and_are_everything(share):
    rows = lmzoo.data.make_rows(label=range(1000))
    training, held_out = rows.split(share)
    labels = [[row["label"] for row in side] for side in (training, held_out)]
    assert len(held_out) == 1000 * share
    assert sorted(labels[0] + labels[1]) == list(range(1000))
    assert labels == [sorted(side) for side in labels]


def test_a_split_is_spread_over_the_rows_and_up_to_the_seed():
    rows = lmzoo.data.make_rows(label=range(1000))
    first, again, other = ([row["label"] for row in rows.split(0.2, seed)[1]] for seed in (0, 0, 1))
    assert first == again != other
    # 200 drawn from a thousand: the mean of their numbers has a standard deviation of 18.
    assert 400 < np.mean(first) < 600


@pytest.mark.parametrize("share", [0, 1, -0.5, "x", None])
def test_a_share_lies_between_nothing_and_all(rows, share):
    with pytest.raises(ValueError, match=rf"Received: validation_split={share!r}"):
        rows.split(share)


def test_a_split_leaves_rows_on_both_sides(rows):
    with pytest.raises(ValueError, match=r"Received: validation_split=0.01 of 10 rows"):
        rows.split(0.01)
    with pytest.raises(TypeError, match="Received: seed='x'"):
        rows.split(0.5, seed="x")
