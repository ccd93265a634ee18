"""Words to tokens, and tags of tokens back to words and spans, in the graph.

Shapes: B batch, W words of a row, T tokens of a row, S spans of a row, C tags.
"""

import numpy as np
import tensorflow as tf

from lmzoo.metrics.spans import is_boundary, is_inside, parse_tag

__all__ = [
    "TagScheme",
    "decode_spans",
    "find_word_starts",
    "find_visible_tokens",
    "join_words",
    "split_words",
]

_PREFIXES = ("B-", "I-", "E-", "S-")
_WHITE_SPACE = r"[\pZ\s\v\x{85}]"
# Word boundaries as in BERT's pre-tokenizer: white space and punctuation.
_BORDER = r"[\pP\pZ\s\v\x{85}[:punct:]]"


class TagScheme:
    """IOB2 and its relatives: `B-` begins a span of a type, `I-` continues it, `O` is outside.

    A tag of another form, such as a part of speech, is a type whose spans are single words. Spans
    begin and end as in `lmzoo.metrics.find_spans`.

    Args:
        tags: tuple of str.
    """

    def __init__(self, tags):
        ids = {tag: index for index, tag in enumerate(tags)}
        is_plain = not any(tag.startswith(_PREFIXES) for tag in tags)
        # One tag more, outside, is the tag before the first word of a row.
        parsed = [_read_tag(tag, is_plain) for tag in [*tags, "O"]]
        self.has_spans = not is_plain and not any(kind is None for kind in map(_try_parse, tags))
        self.types = tuple(dict.fromkeys(kind for _, kind in parsed if kind is not None))
        self.outside = len(tags)
        numbers = {kind: number for number, kind in enumerate(self.types)}
        # By tag id: its type (-1 for outside), and the tag of a word's tokens after the first.
        self.type_ids = np.array([numbers.get(kind, -1) for _, kind in parsed], np.int32)
        self.continuation_ids = np.array(
            [
                ids.get(f"I-{tag[2:]}", index) if tag.startswith("B-") else index
                for index, tag in enumerate(tags)
            ],
            np.int32,
        )
        # By the ids of two neighbours: whether a span begins at the second one.
        self.begins = np.array(
            [[is_boundary(a, b) and is_inside(b) for b in parsed] for a in parsed]
        )


def _try_parse(tag):
    try:
        return parse_tag(tag)
    except ValueError:
        return None


def _read_tag(tag, is_plain):
    """(prefix, type) of a tag; each word with a plain tag is a span."""
    if tag == "O":
        return parse_tag(tag)
    return (None if is_plain else _try_parse(tag)) or ("S", tag)


def join_words(words):
    """Joins words with spaces.

    Args:
        words: string (B, W), ragged or dense. Invalid UTF-8 becomes U+FFFD.
    Returns:
        texts: string (B,).
        starts: int32 ragged (B, W). The start of each word in its text, in characters.
    """
    if not isinstance(words, tf.RaggedTensor):
        words = tf.RaggedTensor.from_tensor(words)
    flat = tf.strings.unicode_transcode(words.flat_values, "UTF-8", "UTF-8", errors="replace")
    lengths = tf.strings.length(flat, unit="UTF8_CHAR") + 1
    # Counted from the beginning of the row.
    before = tf.concat([[0], tf.cumsum(lengths)], 0)
    starts = before[:-1] - tf.gather(before, tf.gather(words.row_splits, words.value_rowids()))
    # reduce_join with a separator leaves it out after empty words at the start of a row.
    spaced = tf.strings.join([tf.where(starts > 0, " ", ""), flat])
    texts = tf.strings.reduce_join(words.with_flat_values(spaced), axis=1)
    return texts, words.with_flat_values(starts)


def find_visible_tokens(text, starts, ends):
    """Finds the tokens that are not white space alone.

    Args:
        text: string (B,).
        starts, ends: int32 ragged (B, T). The offsets of each token in its text, in characters.
    Returns:
        bool, flat: one element for each token of all rows.
    """
    characters = _split_characters(text)
    is_visible = ~tf.strings.regex_full_match(characters.flat_values, _WHITE_SPACE)
    before = tf.concat([[0], tf.cumsum(tf.cast(is_visible, tf.int32))], 0)
    row_starts = tf.gather(characters.row_splits, starts.value_rowids())
    first, last = (
        tf.gather(before, row_starts + tf.cast(offsets.flat_values, tf.int64))
        for offsets in (starts, ends)
    )
    return last > first


def _split_characters(text):
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    return tf.strings.unicode_split(text, "UTF-8")


def split_words(starts, is_visible, word_starts):
    """Finds the word of each token.

    Args:
        starts: int32 ragged (B, T). The start of each token in its text.
        is_visible: bool, flat, of `find_visible_tokens`.
        word_starts: int32 ragged (B, W). The start of each word, of `join_words`.
    Returns:
        word_ids: int32, flat. The index of each token's word in the flat values of `word_starts`.
        is_first: bool, flat. Whether a token is the first visible one of its word.
    """
    # One number line for all rows: the offsets of a row follow those of the row before.
    longest = tf.reduce_max(tf.concat([starts.flat_values, word_starts.flat_values, [0]], 0))
    width = tf.cast(longest, tf.int64) + 1

    def unroll(offsets):
        return offsets.value_rowids() * width + tf.cast(offsets.flat_values, tf.int64)

    word_ids = tf.searchsorted(unroll(word_starts), unroll(starts), side="right") - 1
    visible = tf.where(is_visible)
    words = tf.gather(word_ids, visible[:, 0])
    is_first = words != tf.concat([[-1], words], 0)[:-1]
    return word_ids, tf.scatter_nd(visible, is_first, tf.shape(word_ids, tf.int64))


def find_word_starts(text, ids, starts, ends, continues_word):
    """Finds the tokens that begin a word of running text.

    Words are separated by white space and punctuation, and a punctuation mark is a word. Where the
    tokenizer splits further, as between Chinese characters, its words count.

    Args:
        text: string (B,).
        ids, starts, ends: int32 ragged (B, T). The visible tokens.
        continues_word: bool array (V,). The ids that continue a word; see the tokenizers.
    Returns:
        bool, flat: one element for each token of all rows.
    """
    characters = _split_characters(text)
    is_border = tf.strings.regex_full_match(characters.flat_values, _BORDER)
    # One element in front, for the position before the first character.
    is_border = tf.concat([[True], is_border], 0)
    rows = ids.value_rowids()
    offsets = tf.gather(characters.row_splits, rows) + tf.cast(starts.flat_values, tf.int64)
    is_mark, is_behind_border = tf.gather(is_border, offsets + 1), tf.gather(is_border, offsets)
    is_new_row = tf.concat([[-1], rows], 0)[:-1] != rows
    previous_ends = tf.concat([[0], ends.flat_values], 0)[:-1]
    # A character may be several tokens.
    is_apart = starts.flat_values >= previous_ends
    begins = is_mark | is_behind_border | ~tf.gather(continues_word, ids.flat_values)
    return is_new_row | (is_apart & begins)


def decode_spans(scheme, tags, scores, starts, ends):
    """Finds the spans of rows of tagged words, as `lmzoo.metrics.find_spans` does.

    Args:
        scheme: TagScheme.
        tags: int32 ragged (B, W).
        scores: float32 ragged (B, W).
        starts, ends: int32 ragged (B, W). The offsets of each word in its text.
    Returns:
        dict of `spans` int32 (B, S, 2), start and end in characters, padded with -1; `types` int32
        (B, S), indices into `scheme.types`, padded with -1; and `scores` float32 (B, S), the mean
        over the words, padded with 0.
    """
    rows, flat = tags.value_rowids(), tags.flat_values
    types = tf.gather(scheme.type_ids, flat)
    is_new_row = tf.concat([[-1], rows], 0)[:-1] != rows
    previous = tf.where(is_new_row, scheme.outside, tf.concat([[scheme.outside], flat], 0)[:-1])
    begins = tf.gather_nd(scheme.begins, tf.stack([previous, flat], axis=-1))
    inside = types >= 0
    # The index of each word's span, counted through all rows.
    span_ids = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)

    def pick(values, where):
        return tf.boolean_mask(values.flat_values, where)

    span_ends = tf.math.segment_max(pick(ends, inside), span_ids)
    span_scores = tf.math.segment_mean(pick(scores, inside), span_ids)
    bounds = tf.stack([pick(starts, begins), span_ends], axis=-1)
    row_of_span, num_rows = tf.boolean_mask(rows, begins), tags.nrows()

    def to_dense(values, filler):
        ragged = tf.RaggedTensor.from_value_rowids(values, row_of_span, num_rows)
        return ragged.to_tensor(filler)

    return {
        "spans": to_dense(bounds, -1),
        "types": to_dense(tf.boolean_mask(types, begins), -1),
        "scores": to_dense(span_scores, 0.0),
    }
