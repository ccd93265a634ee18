import random
import unicodedata

import pytest

from lmzoo.data.corpus import chunks
from lmzoo.data.corpus.cleaning import Cleaning


def clean(text, size=None, **steps):
    chunks = [text] if size is None else [text[i : i + size] for i in range(0, len(text), size)]
    return "".join(Cleaning(**steps).apply(chunks))


def test_nothing_is_cleaned_unless_asked():
    text = "<b>A&amp;\0\x85é e\u0301</b>\r\n"
    assert clean(text) == text


@pytest.mark.parametrize("size", [None, 1, 5])
@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<b class='x>y'>Tom</b> &amp; J&#101;rry &lt;3", "Tom & Jerry <3"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>one</p><p>two</p>", "\none\n\ntwo\n"),
        ("a<script>if (a < b) { x('<p>'); }</script>b", "ab"),
        ("a<style>p { color: red }</style>b<!-- <p>no</p> -->c", "abc"),
        ("<!DOCTYPE html><title>T</title>x", "\nT\nx"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
    ],
)
def test_markup_goes(markup, text, size):
    assert clean(markup, size, strip_html=True) == text


def test_a_tag_that_never_ends_does_not_fill_the_memory():
    chunks = ["<a "] + ["x" * (1 << 16)] * 64
    parts = list(Cleaning(strip_html=True).apply(chunks))
    assert len(parts) == 66


def test_control_characters_go():
    text = "a\0b\x07c\x7fd\x9fe\tf\ng\r\nh\x0bi\x0cj\x85k"
    assert clean(text, strip_control=True) == "abcde\tf\ng\r\nh\ni\nj\nk"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_forms_are_those_of_the_whole_text(form, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_SIZE", 4)
    draw = random.Random(0)
    alphabet = "ae \n\u0301\u0323ÅÅﬁ½①가\u1112\u1161\u11ab\xa0.\u0344\u0f73"
    for _ in range(200):
        text = "".join(draw.choice(alphabet) for _ in range(80))
        assert clean(text, 3, normalization=form) == unicodedata.normalize(form, text)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match=r"NFC, NFD, NFKC, NFKD\. Received: normalization='nfc'"):
        Cleaning(normalization="nfc")
