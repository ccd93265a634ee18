"""Splitting a long document into short chunks that give the same tokens as the whole."""

import re

__all__ = ["split_into_chunks"]

# Characters. Chunks are short so that one call of the tokenizer works on many of them in parallel;
# `MAX_CHUNK_SIZE` bounds the memory that a word without a break can take.
CHUNK_SIZE = 1 << 14
MAX_CHUNK_SIZE = 1 << 20
_NEWLINE_SEARCH = 1 << 11

# "x\ny" is split after the newline and "x y" before the space. With these boundaries the left
# chunk never ends in two whitespace characters: GPT-2's `\s+(?!\S)` would join them at the end of
# a text, but leaves the last one to the next word in the middle of it.
_NEWLINE = re.compile(r"(?<=\S\n)(?=\S)")
_SPACE = re.compile(r"(?<=[^\W_])(?=[ \t\r\n])")
_EITHER = re.compile(f"{_NEWLINE.pattern}|{_SPACE.pattern}")
_PUNCTUATION = re.compile(r"(?<=[^\W_])(?=[,.;:!?()\[\]{}<>\"、。，．；：！？「」（）])")


def split_into_chunks(parts):
    r"""Splits one document into chunks whose concatenated tokens are the document's tokens.

    A chunk ends after a newline between two non-whitespace characters. If there is none nearby, it
    ends before the whitespace that follows a letter or digit. Both are boundaries of every
    pre-tokenizer in use (GPT-2's and its successors', BERT's, SentencePiece's), and no Unicode
    normalization form composes across them. A run of 1 Mi characters without such a boundary is
    split between a letter and a punctuation mark; without one of these, at its end. Only there can
    the tokens differ from those of the whole document.

    Args:
        parts: iterable of str. The document in order, in parts of any length.
    Yields:
        str, not empty. Their concatenation is that of `parts`.
    Example:
    >>> from lmzoo.data.corpus.chunks import split_into_chunks
    >>> [len(chunk) for chunk in split_into_chunks(["ab\n" * 10_000])]
    [16383, 13617]
    """
    text = ""
    for part in parts:
        text += part
        start = 0
        while (end := _find_boundary(text, start)) is not None:
            yield text[start:end]
            start = end
        text = text[start:]
    if text:
        yield text


def _find_boundary(text, start):
    """Where the chunk that begins at `start` ends, or None if more text is needed to tell."""
    near, far = start + CHUNK_SIZE, start + MAX_CHUNK_SIZE
    if len(text) <= near:
        return None
    for pattern, reach in ((_NEWLINE, _NEWLINE_SEARCH), (_SPACE, CHUNK_SIZE)):
        if (end := _find_last(pattern, text, max(start, near - reach), near)) is not None:
            return end
    if (match := _EITHER.search(text, near, far + 1)) is not None:
        return match.start()
    if len(text) <= far:
        return None
    end = _find_last(_PUNCTUATION, text, start, far)
    return far if end is None else end


def _find_last(pattern, text, start, stop):
    """The last index in `(start, stop)` at which `pattern` matches, searched backwards."""
    # The text before `start` may be dropped already, so no pattern may look back at it.
    first, high = start + 2, stop
    while high > first:
        low = max(first, high - 1024)
        indices = [match.start() for match in pattern.finditer(text, low, high + 1)]
        indices = [index for index in indices if index < high]
        if indices:
            return indices[-1]
        high = low
    return None
