"""The pieces of a text that grows, against what Python's own `split` leaves of it."""

import pytest

from lmzoo.generation.streaming import StreamingDetokenizer


def stream(texts, stop_strings=()):
    """The pieces of a text that stands for its own ids, given as all of it so far, and its end."""
    detokenizer = StreamingDetokenizer(lambda text: text, stop_strings)
    pieces = []
    for index, text in enumerate(texts):
        pieces.append(detokenizer.update(text, is_last=index == len(texts) - 1))
        if detokenizer.finished:
            break
    return pieces


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("stops", [(), ("\n\n",), ("b c", "c\n"), ("never",)])
def test_the_pieces_make_the_text_before_the_first_stop_string(stops, size):
    text = "a b c\nb\n\nand some more"
    wanted = min((text.split(stop)[0] for stop in stops), key=len, default=text)
    grown = [text[:end] for end in range(size, len(text) + size, size)]
    for end in range(1, len(stream(grown, stops)) + 1):
        assert wanted.startswith("".join(stream(grown, stops)[:end]))
    assert "".join(stream(grown, stops)) == wanted


def test_half_of_a_character_waits_for_the_other_half():
    assert stream(["a\ufffd", "a猫"]) == ["a", "猫"]
    assert stream(["a\ufffd"]) == ["a\ufffd"]
    assert stream([""]) == [""]


def test_nothing_is_read_behind_a_stop_string():
    assert stream(["one stop", "never", "read"], ("stop",)) == ["one "]
