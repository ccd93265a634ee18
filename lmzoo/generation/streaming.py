"""Giving a text that grows piece by piece, no more of it than is certain."""

__all__ = ["cut_pieces"]


def cut_pieces(texts, stops=()):
    """Gives what each of the growing texts adds; no piece is taken back.

    A piece ends between characters, and not inside what may become a stop string.

    Args:
        texts: iterator of (str, bool). All of the text so far, and whether it is the last.
        stops: tuple of str. The text ends before the first of them.
    Yields:
        str, never empty.
    """
    given = 0
    for text, is_last in texts:
        # The end may be a character of which more bytes are to come.
        text = text if is_last else text.removesuffix("\ufffd")
        ends = [text.find(stop, given) for stop in stops]
        ended = min((end for end in ends if end >= 0), default=-1)
        if ended >= 0:
            text, is_last = text[:ended], True
        ready = len(text) if is_last else len(text) - _count_held(text[given:], stops)
        if ready > given:
            yield text[given:ready]
            given = ready
        if is_last:
            return


def _count_held(text, stops):
    """How many last characters of `text` may be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops):
            return size
    return 0
