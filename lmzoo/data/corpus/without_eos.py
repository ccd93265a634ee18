"""The tokens of a stream without the end tokens between its documents."""

import dataclasses

import numpy as np

__all__ = ["without_eos"]


def without_eos(stream):
    """Leaves out the end tokens between documents; nothing is read or copied.

    Args:
        stream: TokenStream.
    Returns:
        TokenStream whose `token_ids` take int arrays of places and know their length. It has no
        `starts`.
    """
    return dataclasses.replace(stream, token_ids=_Tokens(stream), starts=stream.starts[:0])


class _Tokens:
    def __init__(self, stream):
        self._token_ids = stream.token_ids
        self._starts = stream.starts

    def __len__(self):
        return len(self._token_ids) - len(self._starts)

    def __getitem__(self, places):
        return self._token_ids[places + self._count_borders(places)]

    def _count_borders(self, places):
        """How many end tokens stand before each token: a search of all places at once.

        Before document k begins there are `starts[k] - k` tokens. These numbers are not kept:
        there may be as many documents as memory has bytes for.
        """
        low = np.zeros(places.shape, dtype=np.int64)
        high = np.full(places.shape, len(self._starts), dtype=np.int64)
        while (is_open := low < high).any():
            middle = (low + high) // 2
            starts = self._starts[np.minimum(middle, len(self._starts) - 1)].astype(np.int64)
            is_before = is_open & (starts - middle <= places)
            low = np.where(is_before, middle + 1, low)
            high = np.where(is_open & ~is_before, middle, high)
        return low
