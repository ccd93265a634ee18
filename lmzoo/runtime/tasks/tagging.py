"""Tags of tokens to words and spans."""

import unicodedata

import numpy as np

__all__ = ["TagScheme", "find_spans", "find_visible", "find_words"]

_PREFIXES = ("B-", "I-", "E-", "S-")
# Tags before which a span is cut, and behind which one is.
_OPENING, _CLOSING = ("B", "S", "[", "]"), ("E", "S", "[", "]")
_SPACES = "\t\n\v\f\r \x85"
_ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class TagScheme:
    """IOB2 and its relatives; a tag of another form is a type whose spans are single words.

    Args:
        tags: sequence of str.
    """

    def __init__(self, tags):
        is_plain = not any(tag.startswith(_PREFIXES) for tag in tags)
        self._parsed = [_read_tag(tag, is_plain) for tag in tags]

    def begins_span(self, previous, current):
        """Whether a span begins at a tag; `previous` is None at the start of a text."""
        before = ("O", None) if previous is None else self._parsed[previous]
        here = self._parsed[current]
        is_boundary = before[0] in _CLOSING or here[0] in _OPENING or before[1] != here[1]
        return is_boundary and here[1] is not None

    def get_type(self, tag):
        """The type of a tag's span: str, or None outside."""
        return self._parsed[tag][1]


def _try_parse(tag):
    prefix, dash, kind = tag.partition("-")
    if tag in ("O", "."):
        return ("O", None)
    if tag in ("[", "]") or (prefix in ("B", "I", "E", "S") and bool(dash) == bool(kind)):
        return (prefix, kind)
    return None


def _read_tag(tag, is_plain):
    if tag == "O":
        return ("O", None)
    return (None if is_plain else _try_parse(tag)) or ("S", tag)


def _is_space(character):
    return character in _SPACES or unicodedata.category(character)[0] == "Z"


def _is_border(character):
    kind = unicodedata.category(character)[0]
    return kind in "PZ" or character in _SPACES or character in _ASCII_MARKS


def find_visible(text, tokens):
    """Those tokens, (id, start, end), that are not white space alone: list of bool."""
    return [
        any(not _is_space(character) for character in text[start:end]) for _, start, end in tokens
    ]


def find_words(text, tokens, continues_word):
    """Which tokens begin a word of running text.

    Words are separated by white space and punctuation, and a punctuation mark is a word. Where the
    tokenizer splits further, as between Chinese characters, its words count.

    Args:
        text: str.
        tokens: list of (id, start, end). The visible ones.
        continues_word: list of bool (V,).
    Returns:
        list of bool.
    """
    begins, previous_end = [], None
    for index, start, end in tokens:
        is_mark = start < len(text) and _is_border(text[start])
        is_behind = start == 0 or _is_border(text[start - 1])
        # A character may be several tokens.
        is_apart = previous_end is None or start >= previous_end
        is_word = is_mark or is_behind or not continues_word[index]
        begins.append(previous_end is None or (is_apart and is_word))
        previous_end = end
    return begins


def find_spans(scheme, words):
    """The spans of a tagged text.

    Args:
        scheme: TagScheme.
        words: list of (tag, score, start, end).
    Returns:
        list of (type, start, end, score), the score the mean over the words.
    """
    spans, previous = [], None
    for tag, score, start, end in words:
        if scheme.begins_span(previous, tag):
            spans.append([scheme.get_type(tag), start, end, [score]])
        elif scheme.get_type(tag) is not None:
            spans[-1][2] = max(spans[-1][2], end)
            spans[-1][3].append(score)
        previous = tag
    return [(kind, start, end, float(np.mean(scores))) for kind, start, end, scores in spans]
