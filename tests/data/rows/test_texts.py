import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data.rows.texts import list_arrays, list_texts

TEXTS = ["a", "é三", ""]
FORMS = [
    TEXTS,
    tuple(TEXTS),
    np.array(TEXTS),
    np.array(TEXTS, dtype=object),
    tf.constant(TEXTS),
    iter(TEXTS),
]


@pytest.mark.parametrize("texts", FORMS, ids=lambda texts: type(texts).__name__)
def test_every_form_of_texts_becomes_a_list_of_str(texts):
    assert list_texts(texts) == TEXTS


@pytest.mark.parametrize(
    ("texts", "error", "reason"),
    [
        ("a", None, None),
        (3, TypeError, "`x` must be a string or a list of strings. Received: x=3"),
        (b"a", TypeError, "Received: x=b'a'"),
        ({"a": 1}, TypeError, "Received: x={'a': 1}"),
        (["a", 3], TypeError, "Received: 3 at index 1"),
        (["a", "\ud800"], ValueError, "`x` .*lone surrogate .* of index 1"),
        (tf.constant([b"\xff"]), ValueError, "`x` .*lone surrogate .* of index 0"),
    ],
)
def test_what_is_no_list_of_texts_is_named(texts, error, reason):
    if error is None:
        assert list_texts(texts, "x") == ["a"]
        return
    with pytest.raises(error, match=reason):
        list_texts(texts, "x")


def test_values_that_are_no_texts_stay_as_they_are():
    numbers = np.arange(3)
    assert list_arrays(numbers) is numbers
    assert list_arrays(3) == 3
    found = list_arrays({"a": tf.ragged.constant([["x"], []]), "b": (tf.constant([1]), None)})
    assert found["a"] == [["x"], []]
    assert found["b"][0].tolist() == [1] and found["b"][1] is None
