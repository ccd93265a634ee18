"""Packing token ids for tasks that read texts: special tokens, truncation, padding.

Shapes: B batch, T length, C features a token.
"""

import tensorflow as tf

__all__ = ["count_special_tokens", "count_text_tokens", "pack", "truncate_pair"]

# Lengths are rounded up to a multiple of this number: fewer shapes, so fewer kernels to prepare.
_MULTIPLE = 8
# The special tokens by their place in the table in which all tokens are looked up.
_PAD, _START, _END = range(3)


def pack(texts, tokenizer, sequence_length, add_start=True, add_end=True):
    """Adds special tokens to one text or to a pair, truncates and pads on the right.

    One text becomes `start text end`, two become `start first end second end`, with as many end
    tokens between them as the tokenizer's `num_separators` says. Two texts that are too long lose
    tokens at their ends, the longer one first.

    Args:
        texts: list of one or two tf.RaggedTensor int32 (B, None), or (B, None, C) whose first
            feature is the token id and the others are attributes, such as its offsets in the text.
        tokenizer: tokenizer with start, end and padding ids.
        sequence_length: int. The largest T.
        add_start: bool. If False, there is no start token.
        add_end: bool. If False, there are no end tokens, and two texts follow each other directly.
    Returns:
        inputs: dict of `token_ids` int32 (B, T), `padding_mask` bool (B, T) and `segment_ids` int32
            (B, T). T is the longest row's length, rounded up to a multiple of 8.
        features: int32 (B, T, C - 1), or None if C is absent. Special tokens and padding
            have -1.
        is_truncated: bool (B,). Whether the row was truncated.
    Raises:
        TypeError: if `texts` is no list of tf.RaggedTensor.
        ValueError: if there are not one or two, `sequence_length` leaves no room for a token, or
            the tokenizer has no start or end token where one is to be added.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, figure 2; the truncation is
        Hugging Face's "longest_first". There, RoBERTa's second text has segment 0 as well; a
        RoBERTa has one segment only, so this makes no difference.

    Example:
        ids = [tokenizer.tokenize(texts) for texts in (premises, hypotheses)]
        inputs, _, is_truncated = lmzoo.data.pack(ids, tokenizer, sequence_length=128)
        classifier.fit(inputs, labels)
    """
    _check_texts(texts)
    max_tokens = count_text_tokens(tokenizer, sequence_length, len(texts), add_start, add_end)
    has_features = texts[0].shape.rank == 3
    texts = [text if has_features else tf.expand_dims(text, -1) for text in texts]
    lengths = [tf.cast(text.row_lengths(), tf.int64) for text in texts]
    if len(texts) == 1:
        kept = [tf.minimum(lengths[0], max_tokens)]
    else:
        kept = truncate_pair(*lengths, max_tokens)
    is_truncated = tf.reduce_any([new < old for new, old in zip(kept, lengths, strict=True)], 0)

    # Where each text begins in its row, and how long the row is: int32 (B,).
    kept = [tf.cast(length, tf.int32) for length in kept]
    starts = [tf.fill(tf.shape(kept[0]), int(add_start))]
    if len(texts) == 2:
        starts.append(starts[0] + kept[0] + (tokenizer.num_separators if add_end else 0))
    total = starts[-1] + kept[-1] + int(add_end)
    longest = tf.reduce_max(tf.concat([total, [1]], 0))
    longest = tf.minimum(-(-longest // _MULTIPLE) * _MULTIPLE, sequence_length)

    special = (tokenizer.pad_token_id, tokenizer.start_token_id, tokenizer.end_token_id)
    position = tf.range(longest)
    # (T,), (B, 1) -> (B, T)
    mask = position < tf.expand_dims(total, 1)
    index = tf.where(mask, _END, _PAD)
    if add_start:
        index = tf.where(position == 0, _START, index)
    # (B, T) -> (B, T, C)
    dense = _look_up(texts, starts, kept, index, special)
    segment_ids = tf.zeros_like(index)
    if len(texts) == 2:
        # The end token after the first text is of the first segment, further ones of the second.
        second = starts[0] + kept[0] + int(add_end)
        segment_ids = tf.cast(mask & (position >= tf.expand_dims(second, 1)), tf.int32)
    inputs = {"token_ids": dense[..., 0], "padding_mask": mask, "segment_ids": segment_ids}
    return inputs, dense[..., 1:] if has_features else None, is_truncated


def _look_up(texts, starts, kept, index, special):
    """The features of all tokens of rows, by one look-up in a table of special tokens and texts.

    Args:
        texts: list of ragged int32 (B, None, C).
        starts, kept: lists of int32 (B,). Where each text begins in its row, and how many of its
            tokens are kept.
        index: int32 (B, T). What the row has around its texts, as an index in `special`.
        special: tuple of int or None. Special tokens, whose other features are -1. The padding mask
            says what counts, so that a token that the tokenizer does not have is any id.
    Returns:
        int32 (B, T, C).
    """
    others = [-1] * (texts[0].shape[-1] - 1)
    table = [tf.constant([[token_id or 0, *others] for token_id in special], tf.int32)]
    position = tf.range(tf.shape(index)[1])
    # Where the text begins in the table.
    offset = len(special)
    for text, start, length in zip(texts, starts, kept, strict=True):
        place = position - tf.expand_dims(start, 1)
        is_text = (place >= 0) & (place < tf.expand_dims(length, 1))
        first = tf.cast(text.row_starts(), tf.int32) + offset
        index = tf.where(is_text, tf.expand_dims(first, 1) + place, index)
        offset += tf.shape(text.values)[0]
        table.append(text.values)
    return tf.gather(tf.concat(table, 0), index)


def _check_texts(texts):
    """Raises TypeError or ValueError for `texts` that `pack` does not take."""
    rule = "`texts` must be a list of one or two tf.RaggedTensor, as `tokenize` gives for lists."
    if not isinstance(texts, list | tuple):
        raise TypeError(f"{rule} Received: a {type(texts).__name__}.")
    for text in texts:
        if not isinstance(text, tf.RaggedTensor):
            raise TypeError(f"{rule} Received: a {type(text).__name__} in it.")
    if len(texts) not in (1, 2):
        raise ValueError(f"{rule} Received: {len(texts)} of them.")


def count_text_tokens(tokenizer, sequence_length, num_texts, add_start=True, add_end=True):
    """How many tokens of text fit beside the special tokens of one text or a pair.

    Raises:
        ValueError: if none fits, or the tokenizer has no start or end token.
    """
    for role, is_added in (("start", add_start), ("end", add_end)):
        if is_added and getattr(tokenizer, f"{role}_token_id", None) is None:
            raise ValueError(
                f"`tokenizer` must have a {role} token. Received: {role}_token_id=None."
            )
    num_special = count_special_tokens(tokenizer, num_texts, add_start, add_end)
    if sequence_length <= num_special:
        raise ValueError(
            f"`sequence_length` must leave room beside {num_special} special tokens. Received: "
            f"sequence_length={sequence_length}."
        )
    return sequence_length - num_special


def count_special_tokens(tokenizer, num_texts, add_start=True, add_end=True):
    """How many special tokens `pack` adds to one text or a pair."""
    num_ends = 1 if num_texts == 1 else 1 + tokenizer.num_separators
    return add_start + add_end * num_ends


def truncate_pair(first, second, max_tokens):
    """How many tokens of a pair are kept if `max_tokens` fit: the longer text is truncated first.

    Args:
        first, second: int64 (B,). Their lengths.
        max_tokens: int.
    Returns:
        pair of int64 (B,). If both are truncated, an odd token goes to the longer one (of equals,
        to the second).
    """
    short, long = tf.minimum(first, second), tf.maximum(first, second)
    truncated = tf.where(short > max_tokens, short, tf.maximum(short, max_tokens - short))
    both = short + truncated > max_tokens
    short_kept = tf.where(both, tf.constant(max_tokens // 2, tf.int64), short)
    half = tf.constant(max_tokens // 2 + max_tokens % 2, tf.int64)
    long_kept = tf.where(both, half, truncated)
    fits = first + second <= max_tokens
    short_kept, long_kept = tf.where(fits, short, short_kept), tf.where(fits, long, long_kept)
    swapped = first > second
    return tf.where(swapped, long_kept, short_kept), tf.where(swapped, short_kept, long_kept)
