"""Cleaning documents as a stream: HTML, control characters, Unicode normalization."""

import dataclasses
import html.parser
import unicodedata

from lmzoo.data.corpus.chunks import split_into_chunks

__all__ = ["Cleaning"]

_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
# Page breaks and NEL separate words, so they become newlines; the other controls vanish.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0))}
_CONTROLS |= {0x0B: "\n", 0x0C: "\n", 0x85: "\n"}
for _kept in "\t\n\r":
    del _CONTROLS[ord(_kept)]

_HIDDEN_TAGS = frozenset({"script", "style", "template"})
_BLOCK_TAGS = frozenset(
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 "
    "h2 h3 h4 h5 h6 header hr li main nav ol option p pre section table td th title tr ul".split()
)
_LONGEST_TAG = 1 << 20


@dataclasses.dataclass(frozen=True)
class Cleaning:
    """How each document is cleaned before it is tokenized; by default not at all.

    The steps run in the order of the arguments.

    Args:
        strip_html: bool. If True, tags, comments, scripts and styles are removed, entities
            become characters, and a block element such as `<p>` or `<br>` becomes a newline.
        strip_control: bool. If True, control characters are removed, except tab, newline and
            carriage return; page breaks and NEL become newlines.
        normalization: str or None. A Unicode normalization form: "NFC", "NFD", "NFKC" or "NFKD".
        deduplicate: bool. If True, only the first of several documents with the same text (after
            the other steps) is kept. The hashes are on the disk, 16 bytes a document.
    Raises:
        ValueError: if `normalization` is not one of the four forms.
    Example:
    >>> "".join(Cleaning(strip_html=True).apply(["<b>Tom &amp; Jer", "ry</b>"]))
    'Tom & Jerry'
    """

    strip_html: bool = False
    strip_control: bool = False
    normalization: str | None = None
    deduplicate: bool = False

    def __post_init__(self):
        if self.normalization is not None and self.normalization not in _FORMS:
            raise ValueError(
                f"`normalization` must be None or one of {', '.join(_FORMS)}. "
                f"Received: normalization={self.normalization!r}."
            )

    def apply(self, parts):
        """Cleans one document.

        Args:
            parts: iterable of str. The document in order, in parts of any length.
        Yields:
            str. The clean document in order, in parts. How `parts` are split changes nothing.
        """
        if self.strip_html:
            parts = _strip_html(parts)
        if self.strip_control:
            parts = (part.translate(_CONTROLS) for part in parts)
        if self.normalization is not None:
            # No normalization form composes characters across the boundaries of chunks.
            chunks = split_into_chunks(parts)
            parts = (unicodedata.normalize(self.normalization, chunk) for chunk in chunks)
        yield from parts


def _strip_html(parts):
    parser = _TextOfHTML()
    for part in parts:
        parser.feed(part)
        if len(parser.rawdata) > _LONGEST_TAG:
            parser.close()  # A tag that never ends is text; it must not fill the memory.
        yield parser.take()
    parser.close()
    yield parser.take()


class _TextOfHTML(html.parser.HTMLParser):
    """Collects the visible text of HTML."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self._parts = []
        self._hidden = None

    def take(self):
        text = "".join(self._parts)
        self._parts.clear()
        return text

    def handle_starttag(self, tag, attrs):
        if self._hidden is None and tag in _HIDDEN_TAGS:
            self._hidden = tag
        if tag in _BLOCK_TAGS:
            self._parts.append("\n")

    def handle_startendtag(self, tag, attrs):
        if tag in _BLOCK_TAGS:
            self._parts.append("\n")

    def handle_endtag(self, tag):
        if tag == self._hidden:
            self._hidden = None
        elif tag in _BLOCK_TAGS:
            self._parts.append("\n")

    def handle_data(self, data):
        if self._hidden is None:
            self._parts.append(data)
