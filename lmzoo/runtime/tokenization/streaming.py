"""The text of tokens that come one by one."""

__all__ = ["StreamingDetokenizer"]


class StreamingDetokenizer:
    """Turns tokens that come one by one into pieces of text; no piece is taken back.

    A piece ends between characters, and not inside what may become a stop string. All ids are
    detokenized each time, because the text of a token depends on the tokens before it.

    Args:
        detokenize: callable. All new ids -> str.
        stop_strings: tuple of str. The text ends before the first of them.
    """

    def __init__(self, detokenize, stop_strings=()):
        self._detokenize = detokenize
        self._stop_strings = stop_strings
        self._length = 0  # of the text that has been given
        self.finished = False

    def update(self, token_ids, is_last):
        """The text that is now certain and has not been given, possibly empty.

        Args:
            token_ids: int (T,). All new ids so far.
            is_last: bool. Whether no more will come.
        """
        text, given = self._detokenize(token_ids), self._length
        # The end may be a character of which more bytes are to come.
        text = text if is_last else text.removesuffix("\ufffd")
        ends = [text.find(stop, given) for stop in self._stop_strings]
        end = min((end for end in ends if end >= 0), default=-1)
        if end >= 0:
            text, is_last = text[:end], True
        ready = len(text) if is_last else len(text) - self._count_held(text[given:])
        self._length = max(ready, given)
        self.finished = is_last
        return text[given:ready]

    def _count_held(self, text):
        """How many last characters of `text` may be the beginning of a stop string."""
        longest = max((len(stop) for stop in self._stop_strings), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stop_strings):
                return size
        return 0
