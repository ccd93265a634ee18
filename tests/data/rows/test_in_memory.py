import re

import numpy as np
import pytest

import lmzoo


class Series:
    """What a column of a data frame is to us: something to iterate over."""

    def __init__(self, values):
        self._values = values

    def __iter__(self):
        return iter(self._values)


def test_columns_of_any_make_become_the_same_rows():
    expected = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    for text in (["a", "b"], ("a", "b"), np.array(["a", "b"]), Series(["a", "b"])):
        for label in ([0, 1], (0, 1), np.array([0, 1], np.int32), range(2), Series([0, 1])):
            rows = lmzoo.data.make_rows(text=text, label=label)
            assert list(rows) == expected
            assert type(rows[0]["label"]) is int and type(rows[0]["text"]) is str


def test_a_row_of_a_matrix_is_a_list():
    rows = lmzoo.data.make_rows(vector=np.array([[0.5, 1.0], [1.5, 2.0]]))
    assert list(rows) == [{"vector": [0.5, 1.0]}, {"vector": [1.5, 2.0]}]


def test_a_row_says_which_one_it_is():
    assert lmzoo.data.make_rows(text=["a"] * 17).place(16) == "index 16"


def test_rows_do_not_change_with_what_they_were_made_of():
    words = ["a", "b"]
    rows = lmzoo.data.make_rows(words=[words, []])
    words.append("c")
    rows[0]["words"].append("d")
    assert rows[0] == {"words": ["a", "b"]}


def test_an_empty_text_is_kept():
    assert list(lmzoo.data.make_rows(text=["", "a"])) == [{"text": ""}, {"text": "a"}]


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match=r"Received: \{'text': 2, 'label': 1\}"):
        lmzoo.data.make_rows(text=["a", "b"], label=[1])


def test_no_rows_and_no_columns_are_refused():
    with pytest.raises(ValueError, match=r"at least one row. Received: \{'text': 0\}"):
        lmzoo.data.make_rows(text=[])
    with pytest.raises(ValueError, match=r"at least one column. Received: none"):
        lmzoo.data.make_rows()


@pytest.mark.parametrize("column", ["text", b"ab", 3, None, {"a": 1}])
def test_a_column_is_a_list(column):
    with pytest.raises(TypeError, match=re.escape(f"Received: text={column!r}.")):
        lmzoo.data.make_rows(text=column)


def test_a_value_that_is_none_is_named():
    with pytest.raises(TypeError, match=r"`text`, index 1: .* Received: None \(NoneType\)"):
        lmzoo.data.make_rows(text=["a", None])
    with pytest.raises(ValueError, match=rf"`label`, index 0: .* Received: {1 << 64}"):
        lmzoo.data.make_rows(label=[1 << 64])


def test_mixed_kinds_are_named():
    with pytest.raises(TypeError, match=r"'x' at index 2, which is a str, .* each an int\."):
        lmzoo.data.make_rows(label=[0, 1, "x"])
    with pytest.raises(TypeError, match=r"\[1\] at index 2, which is .* each a list of str\."):
        lmzoo.data.make_rows(label=[[], ["a"], [1]])


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool"])
def test_a_column_may_be_an_array_of_one_hot_labels(dtype):
    rows = lmzoo.data.make_rows(text=["a", "b"], label=np.eye(2, 3).astype(dtype))
    assert rows[1] == {"text": "b", "label": [0, 1, 0]}
    (batch,) = rows.dataset(2, shuffle=False)
    assert batch["label"].to_list() == [[1, 0, 0], [0, 1, 0]]
