"""Pictures and pages of `lmzoo.explain`, and what is refused."""

import base64
import html.parser
import json
import re
import sys

import numpy as np
import pytest

from lmzoo.explain import Attention, Attribution, plot_attention, plot_attribution
from lmzoo.explain.integrated_gradients import Word
from lmzoo.explain.tokens import Token

TEXT = "</script><b>我$x$"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def attention():
    generator = np.random.default_rng(0)
    cuts = [(0, 9), (9, 12), (12, 13), (13, 16)]
    tokens = [Token("[CLS]", -1, -1, "special")]
    tokens += [Token(TEXT[start:end], start, end, "text") for start, end in cuts]
    weights = {}
    for kind, length in (("encoder", 5), ("decoder", 5), ("cross", 5)):
        rows = generator.random((2, 3, length, 5)).astype(np.float32)
        weights[kind] = rows / rows.sum(axis=-1, keepdims=True)
    return Attention(tokens, tokens, weights)


@pytest.fixture(scope="module")
def attribution():
    words = [Word(TEXT[0:9], 0, 9, "text", 0.5), Word(TEXT[12:13], 12, 13, "text", -1.25)]
    return Attribution(
        {"text": TEXT}, [], np.array([0.5, -1.25]), words, "<i>bad", "mask", -0.75, 0.0, 50
    )


class Page(html.parser.HTMLParser):
    """The text of each element, by its tag, and every address."""

    def __init__(self, path):
        super().__init__()
        self.source, self.texts, self.addresses = path.read_text(encoding="utf-8"), [], []
        self._open = []
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self._open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))


def check_alone(page):
    """Nothing of a page is fetched from anywhere."""
    assert not page.addresses
    assert not re.search(r"https?:|@import|url\(|fetch\(", page.source)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer": 1},
        {"layer": 1, "head": -1},
        {"view": "rollout"},
        {"view": "rollout", "kind": "decoder"},
        {"kind": "cross"},
    ],
    ids=str,
)
def test_every_view_is_a_picture(attention, tmp_path, options):
    pytest.importorskip("matplotlib")
    plot_attention(attention, tmp_path / "a.png", **options)
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_glyphs_that_no_font_has_are_numbers(attribution, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from lmzoo.explain import drawing

    monkeypatch.setattr(drawing, "_WIDE_FONTS", ())
    seen, save = [], Figure.savefig

    def keep(figure, *arguments, **options):
        seen.extend(label.get_text() for label in figure.axes[0].get_yticklabels())
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    plot_attribution(attribution, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert seen == ["</script>", "U+6211"]


@pytest.mark.parametrize(
    "values, texts",
    [((0.0547, -0.0004), ["+0.055", "+0.000"]), ((2.5, -0.25), ["+2.50", "-0.25"])],
    ids=str,
)
def test_small_contributions_are_written_with_two_digits_of_the_largest(
    attribution, tmp_path, monkeypatch, values, texts
):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    seen, save = [], Figure.savefig

    def keep(figure, *arguments, **options):
        seen.extend(text.get_text() for text in figure.axes[0].texts)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    words = [
        word._replace(value=value) for word, value in zip(attribution.words, values, strict=True)
    ]
    found = Attribution({"text": TEXT}, [], np.array(values), words, "bad", "mask", 0.1, 0.0, 50)
    plot_attribution(found, tmp_path / "a.png")
    assert seen == texts


def test_a_page_of_attention_holds_all_weights_and_escapes_the_text(attention, tmp_path):
    plot_attention(attention, tmp_path / "a.html", layer=-1, head=0, kind="cross")
    page = Page(tmp_path / "a.html")
    check_alone(page)
    assert page.source.count("<b>") == 0
    scripts = [text for tag, text in page.texts if tag == "script"]
    found = json.loads(scripts[0])
    assert found["options"] == {"kind": "cross", "layer": 1, "head": 0, "view": "heads"}
    assert found["attention"]["tokens"][1] == ["</script>", 0, 9, "text"]
    for kind in found["attention"]["kinds"]:
        data = np.frombuffer(base64.b64decode(kind["weights"]), np.uint8).reshape(kind["shape"])
        assert np.abs(data / 255 - attention.weights[kind["name"]]).max() < 1 / 255
    assert "innerHTML" not in page.source


def test_a_page_of_an_attribution_holds_the_whole_text(attribution, tmp_path):
    plot_attribution(attribution, tmp_path / "a.html")
    page = Page(tmp_path / "a.html")
    check_alone(page)
    shown = "".join(text for tag, text in page.texts if tag in ("p", "ruby"))
    assert shown.startswith(TEXT)
    assert [text for tag, text in page.texts if tag == "rt"] == ["+0.50", "-1.25"]
    assert ("h1", "Why <i>bad") in page.texts
    # The strongest word has the strongest shade, and the sign its colour.
    assert "rgba(230, 97, 0, 0.700)" in page.source and "rgba(53, 132, 228, 0.280)" in page.source


def test_a_page_that_would_be_too_large_has_one_layer(attention, tmp_path, monkeypatch):
    from lmzoo.explain import page

    monkeypatch.setattr(page, "_MOST_WEIGHTS", 100)
    with pytest.raises(ValueError, match="Received: 450. Give a `layer`"):
        plot_attention(attention, tmp_path / "a.html")
    plot_attention(attention, tmp_path / "a.html", layer=1)
    found = json.loads(
        [text for tag, text in Page(tmp_path / "a.html").texts if tag == "script"][0]
    )
    assert [kind["shape"][0] for kind in found["attention"]["kinds"]] == [1, 1, 1]
    assert found["options"]["layer"] == 0


@pytest.mark.parametrize(
    ("path", "options", "error", "match"),
    [
        ("a.gif", {}, ValueError, "a .png or .html file. Received: .*a.gif"),
        ("a.png", {"view": "graph"}, ValueError, "Received: view='graph'"),
        ("a.png", {"layer": 2}, ValueError, "from -2 to 1. Received: layer=2"),
        ("a.html", {"head": 3}, ValueError, "from -3 to 2. Received: head=3"),
        ("a.png", {"head": 0.0}, TypeError, "Received: head=0.0"),
        ("a.png", {"kind": "self"}, ValueError, "Received: kind='self'"),
        ("a.png", {"kind": "cross", "view": "rollout"}, ValueError, "Received: kind='cross'"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(attention, tmp_path, path, options, error, match):
    with pytest.raises(error, match=match):
        plot_attention(attention, tmp_path / path, **options)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(attention, attribution, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for plot, found in ((plot_attention, attention), (plot_attribution, attribution)):
        with pytest.raises(ImportError, match=r"Received: no module .* lmzoo\[report\]"):
            plot(found, tmp_path / "a.png")
        plot(found, tmp_path / "a.html")
