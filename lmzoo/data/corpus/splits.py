"""Holding part of a corpus out for validation, document by document."""

import numpy as np

from lmzoo.data.corpus.cache import cache_key, open_or_build
from lmzoo.data.corpus.index_shuffle import uniform_noise
from lmzoo.data.corpus.token_stream import join_parts, open_stream, write_stream

__all__ = ["check_validation_split", "choose_validation", "split_stream"]

_TOKENS_PER_PART = 1 << 20
_DOCUMENTS_PER_BLOCK = 1 << 16


def check_validation_split(validation_split):
    """Refuses a share that is not strictly between 0 and 1.

    Raises:
        ValueError: if `validation_split` is not a number between 0 and 1.
    """
    if not isinstance(validation_split, (int, float)) or not 0 < validation_split < 1:
        raise ValueError(
            "`validation_split` must be None or between 0 and 1, both excluded. "
            f"Received: validation_split={validation_split!r}."
        )


def split_stream(stream, validation_split, seed=0):
    """Splits a stream into a training and a validation stream, which share no token.

    Whole documents go to one side or the other, spread evenly over the corpus. If there are too
    few documents to come within half of the wanted share, the stream is split at one token
    instead and validation gets its tail. Both sides of a stream on the disk are cached beside it.

    Args:
        stream: TokenStream.
        validation_split: float. The share of the tokens that is held out, between 0 and 1.
        seed: int. Another seed holds other documents out.
    Returns:
        (TokenStream, TokenStream): training, validation.
    Raises:
        ValueError: if `validation_split` is not between 0 and 1, or if a side would be empty.
    """
    check_validation_split(validation_split)
    if stream.folder is None:
        return tuple(
            join_parts(_copy(stream, ranges), stream.first_token_id, stream.vocabulary_size)
            for ranges in _sides(stream, validation_split, seed)
        )
    key = cache_key([float(validation_split), int(seed)])[:8]
    folder = stream.folder.with_name(f"{stream.folder.name}.{key}")

    def build(folder):
        for side, ranges in zip(
            ("training", "validation"), _sides(stream, validation_split, seed), strict=True
        ):
            (folder / side).mkdir()
            write_stream(
                *(folder / side, _copy(stream, ranges)),
                *(stream.first_token_id, stream.vocabulary_size),
            )

    return open_or_build(folder, _open_sides, build)


def choose_validation(stream, validation_split, seed=0):
    """Chooses the documents of a stream that are held out.

    Their tokens follow the wanted share as closely as whole documents can; `seed` decides which
    documents they are.

    Args:
        stream: TokenStream.
        validation_split: float.
        seed: int.
    Yields:
        (int, int, bool): of each document its first index, its end, and whether it is held out.
    """
    owed = 0.0
    for first in range(0, len(stream.starts), _DOCUMENTS_PER_BLOCK):
        # One more start than documents, as far as there is one: it ends the last of them.
        starts = stream.starts[first : first + _DOCUMENTS_PER_BLOCK + 1].tolist()
        if first + _DOCUMENTS_PER_BLOCK >= len(stream.starts):
            starts.append(len(stream))
        noise = uniform_noise(np.arange(first, first + len(starts) - 1), seed).tolist()
        for begin, end, chance in zip(starts[:-1], starts[1:], noise, strict=True):
            owed += validation_split * (end - begin)
            chosen = owed > chance * (end - begin)
            if chosen:
                owed -= end - begin
            yield begin, end, chosen


def _sides(stream, validation_split, seed):
    """Returns two iterables of (begin, end): training and validation."""
    documents = choose_validation(stream, validation_split, seed)
    share = sum(end - begin for begin, end, chosen in documents if chosen) / len(stream)
    if abs(share - validation_split) <= min(validation_split, 1 - validation_split) / 2:
        return [_kept(stream, validation_split, seed, side) for side in (False, True)]
    boundary = round(len(stream) * (1 - validation_split))
    if not 0 < boundary < len(stream):
        raise ValueError(
            "`validation_split` must leave tokens on both sides. Received: validation_split="
            f"{validation_split} for a corpus of {len(stream)} tokens."
        )
    return [[(0, boundary)], [(boundary, len(stream))]]


def _kept(stream, validation_split, seed, side):
    for begin, end, chosen in choose_validation(stream, validation_split, seed):
        if chosen == side:
            yield begin, end


def _copy(stream, ranges):
    """Yields the ids in the ranges and the indices at which documents start, in parts."""
    for begin, end in _joined(ranges):
        for low in range(begin, end, _TOKENS_PER_PART):
            high = min(end, low + _TOKENS_PER_PART)
            first, last = np.searchsorted(stream.starts, [low, high])
            starts = stream.starts[first:last].astype(np.int64) - low
            yield stream.token_ids[low:high], starts


def _joined(ranges):
    """Joins adjacent ranges, so that they are copied in one part."""
    begin = end = 0
    for low, high in ranges:
        if low != end:
            yield begin, end
            begin = low
        end = high
    yield begin, end


def _open_sides(folder):
    sides = tuple(open_stream(folder / side) for side in ("training", "validation"))
    return None if None in sides else sides
