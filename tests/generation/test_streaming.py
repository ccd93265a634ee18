"""The pieces of a text that grows, against what Python's own `split` leaves of it."""

import pytest

from lmzoo.generation.streaming import cut_pieces


def grow(text, size):
    ends = range(size, len(text) + size, size)
    return [(text[:end], end >= len(text)) for end in ends]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("stops", [(), ("\n\n",), ("b c", "c\n"), ("never",)])
def test_the_pieces_make_the_text_before_the_first_stop_string(stops, size):
    text = "a b c\nb\n\nand some more"
    wanted = min((text.split(stop)[0] for stop in stops), key=len, default=text)
    pieces = list(cut_pieces(iter(grow(text, size)), stops))
    assert "".join(pieces) == wanted and all(pieces)


def test_half_of_a_character_waits_for_the_other_half():
    assert list(cut_pieces(iter([("a\ufffd", False), ("a猫", True)]))) == ["a", "猫"]
    assert list(cut_pieces(iter([("a\ufffd", True)]))) == ["a\ufffd"]
    assert list(cut_pieces(iter([("", True)]))) == []


def test_nothing_is_read_behind_a_stop_string():
    def texts():
        yield "one stop", False
        raise RuntimeError("a token too many")

    assert list(cut_pieces(texts(), ("stop",))) == ["one "]
