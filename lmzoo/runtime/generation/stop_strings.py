"""Stop strings, found in the bytes of tokens, because one may begin or end inside a token."""

__all__ = ["StopFinder", "cut_at_stops"]


class StopFinder:
    """Watches the text of one row for strings that end it.

    Args:
        stops: tuple of str.
        give_bytes: callable, int -> bytes. The bytes of one id after another.
    """

    def __init__(self, stops, give_bytes):
        self._stops = [stop.encode() for stop in stops]
        self._give_bytes = give_bytes
        self._longest = max(map(len, self._stops))
        self._tail = b""

    def find(self, token_id):
        """Whether a stop string ends within the text of the next token.

        Args:
            token_id: int.
        Returns:
            bool.
        """
        text = self._tail + self._give_bytes(token_id)
        self._tail = text[max(len(text) - self._longest + 1, 0) :]
        return any(stop in text for stop in self._stops)


def cut_at_stops(text, stops):
    """Ends a text before the first stop string in it: str."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places, default=len(text))]
