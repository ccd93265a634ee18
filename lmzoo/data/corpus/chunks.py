"""Cutting a long document into short pieces that give the same tokens as the whole."""

import re

__all__ = ["cut"]

# Short enough that a call of the tokenizer can work on many at once; the longest piece is what a
# word without a break may cost in memory.
PIECE = 1 << 14
LONGEST = 1 << 20
_NEAR_END = 1 << 11

# "x\ny" is cut after the newline and "x y" before the space. The places are chosen so that
# the left piece never ends in two whitespace characters: GPT-2's `\s+(?!\S)` would join them at
# the end of a text, but leaves the last one to the next word in the middle of it.
_NEWLINE = re.compile(r"(?<=\S\n)(?=\S)")
_SPACE = re.compile(r"(?<=[^\W_])(?=[ \t\r\n])")
_EITHER = re.compile(f"{_NEWLINE.pattern}|{_SPACE.pattern}")
_PUNCTUATION = re.compile(r"(?<=[^\W_])(?=[,.;:!?()\[\]{}<>\"、。，．；：！？「」（）])")


def cut(chunks):
    r"""Cuts one document into pieces whose tokens, put together, are the document's tokens.

    A piece ends after a newline between two non-whitespace characters; if there is none near,
    before the whitespace that follows a letter or digit. Both are boundaries of every
    pre-tokenizer in use (GPT-2's and its successors', BERT's, SentencePiece's), and no Unicode
    normalization form composes across them. A run of 1 Mi characters without such a place is
    cut between a letter and a punctuation mark, and if there is none of these either, in its
    middle: only there can a token be lost.

    Args:
        chunks: iterable of str. The document in order, in parts of any length.
    Yields:
        str, not empty. Joined, they are the joined `chunks`.
    Example:
    >>> from lmzoo.data import pieces
    >>> [len(piece) for piece in pieces.cut(["ab\n" * 10_000])]
    [16383, 13617]
    """
    text = ""
    for chunk in chunks:
        text += chunk
        start = 0
        while (end := _next_cut(text, start)) is not None:
            yield text[start:end]
            start = end
        text = text[start:]
    if text:
        yield text


def _next_cut(text, start):
    """Where the piece that begins at `start` ends, or None while the text is too short to say."""
    near, far = start + PIECE, start + LONGEST
    if len(text) <= near:
        return None
    for rule, reach in ((_NEWLINE, _NEAR_END), (_SPACE, PIECE)):
        if (end := _last_match(rule, text, max(start, near - reach), near)) is not None:
            return end
    if (match := _EITHER.search(text, near, far + 1)) is not None:
        return match.start()
    if len(text) <= far:
        return None
    end = _last_match(_PUNCTUATION, text, start, far)
    return far if end is None else end


def _last_match(rule, text, start, stop):
    """The last place in `(start, stop)` that `rule` matches, searched from the end backwards."""
    # What stands before `start` may be gone already, so no rule may look back at it.
    first, high = start + 2, stop
    while high > first:
        low = max(first, high - 1024)
        places = [match.start() for match in rule.finditer(text, low, high + 1)]
        places = [place for place in places if place < high]
        if places:
            return places[-1]
        high = low
    return None
