"""Token ids of texts, packed for a model: special tokens, truncation, and batches with padding."""

from typing import NamedTuple

import numpy as np

__all__ = ["PackedRow", "count_special_tokens", "pack_row", "pad_rows"]

# Lengths are rounded up to a multiple of this number: fewer shapes, so fewer kernels to prepare.
_MULTIPLE = 8


class PackedRow(NamedTuple):
    """One row of a token batch.

    ids: list of int.
    second: int. Where the second text begins, its length where there is none.
    features: list. What belongs to each id, None for special tokens.
    is_truncated: bool.
    """

    ids: list
    second: int
    features: list
    is_truncated: bool


def count_special_tokens(tokenizer, num_texts, add_start, add_end):
    """How many special tokens `pack_row` adds to one text or a pair."""
    num_ends = 1 if num_texts == 1 else 1 + tokenizer.num_separators
    return add_start + add_end * num_ends


def pack_row(texts, tokenizer, sequence_length, add_start=True, add_end=True, features=None):
    """Packs one text or a pair as `lmzoo.data.pack` does.

    Args:
        texts: list of one or two lists of int.
        tokenizer: Tokenizer.
        sequence_length: int. The most tokens of the row.
        add_start, add_end: bool. Whether there are start and end tokens.
        features: list of lists or None. What belongs to each token of each text.
    Returns:
        PackedRow.
    """
    room = sequence_length - count_special_tokens(tokenizer, len(texts), add_start, add_end)
    lengths = [len(text) for text in texts]
    kept = [min(lengths[0], room)] if len(texts) == 1 else _truncate_pair(*lengths, room)
    features = features or [[None] * length for length in lengths]
    start = [tokenizer.start_token_id] if add_start else []
    end = [tokenizer.end_token_id] if add_end else []
    ids = [*start, *texts[0][: kept[0]], *end]
    marks = [None] * len(start) + features[0][: kept[0]] + [None] * len(end)
    second = len(ids)
    if len(texts) == 2:
        between = end * (tokenizer.num_separators - 1)
        ids += [*between, *texts[1][: kept[1]], *end]
        marks += [None] * len(between) + features[1][: kept[1]] + [None] * len(end)
    is_truncated = any(new < old for new, old in zip(kept, lengths, strict=True))
    return PackedRow(ids, second, marks, is_truncated)


def _truncate_pair(first, second, room):
    """How many tokens of a pair are kept: the longer text is truncated first."""
    if first + second <= room:
        return [first, second]
    short, long = sorted((first, second))
    truncated = short if short > room else max(short, room - short)
    if short + truncated > room:
        short_kept, long_kept = room // 2, room - room // 2
    else:
        short_kept, long_kept = short, truncated if long > truncated else long
    return [long_kept, short_kept] if first > second else [short_kept, long_kept]


def pad_rows(rows, pad_id, length=None, longest=None):
    """A token batch of packed rows.

    Args:
        rows: list of PackedRow.
        pad_id: int or None.
        length: int or None. T; None for the longest row's, rounded up to a multiple of 8.
        longest: int or None. What T is not rounded beyond.
    Returns:
        dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T) and `segment_ids` int32 (B, T).
    """
    if length is None:
        length = -(-max(1, *(len(row.ids) for row in rows)) // _MULTIPLE) * _MULTIPLE
        length = length if longest is None else min(length, longest)
    token_ids = np.full([len(rows), length], pad_id or 0, np.int32)
    padding_mask = np.zeros([len(rows), length], bool)
    segment_ids = np.zeros([len(rows), length], np.int32)
    for index, row in enumerate(rows):
        count = len(row.ids)
        token_ids[index, :count] = row.ids
        padding_mask[index, :count] = True
        segment_ids[index, row.second : count] = 1
    return {"token_ids": token_ids, "padding_mask": padding_mask, "segment_ids": segment_ids}
