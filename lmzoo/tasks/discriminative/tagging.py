"""From words to pieces and from the pieces' scores back to spans, in the graph.

Shapes: B batch, W words of a row, T pieces of a row, S spans of a row, C tags.
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
# What stands between two words or is one: white space, and marks as BERT splits at them.
_BORDER = r"[\pP\pZ\s\v\x{85}[:punct:]]"


class TagScheme:
    """What the names of tags say: `B-` begins a span of a type, `I-` goes on with it, `O` is none.

    A tag in no such form, such as a part of speech, is a type whose spans are single words. Where
    spans begin and end follows `lmzoo.metrics.find_spans`.

    Args:
        tags: tuple of str.
    """

    def __init__(self, tags):
        ids = {tag: index for index, tag in enumerate(tags)}
        is_plain = not any(tag.startswith(_PREFIXES) for tag in tags)
        # One more tag, outside, stands before each row.
        parsed = [_read_tag(tag, is_plain) for tag in [*tags, "O"]]
        self.has_spans = not is_plain and not any(kind is None for kind in map(_try_parse, tags))
        self.types = tuple(dict.fromkeys(kind for _, kind in parsed if kind is not None))
        self.outside = len(tags)
        numbers = {kind: number for number, kind in enumerate(self.types)}
        # By the number of a tag: its type (-1 for none), and the tag of the pieces of a word
        # behind the first one.
        self.type_ids = np.array([numbers.get(kind, -1) for _, kind in parsed], np.int32)
        self.continuation_ids = np.array(
            [
                ids.get(f"I-{tag[2:]}", index) if tag.startswith("B-") else index
                for index, tag in enumerate(tags)
            ],
            np.int32,
        )
        # By the numbers of two neighbours: whether a span begins at the second one.
        self.begins = np.array(
            [[is_boundary(a, b) and is_inside(b) for b in parsed] for a in parsed]
        )


def _try_parse(tag):
    try:
        return parse_tag(tag)
    except ValueError:
        return None


def _read_tag(tag, is_plain):
    """(prefix, type) of a tag; a plain one is a type whose every word is a span."""
    if tag == "O":
        return parse_tag(tag)
    return (None if is_plain else _try_parse(tag)) or ("S", tag)


def join_words(words):
    """Puts words together with spaces.

    Args:
        words: string (B, W), ragged or dense. Invalid UTF-8 is read with replacements.
    Returns:
        texts: string (B,).
        starts: int32 ragged (B, W). Where each word begins in its text, in characters.
    """
    if not isinstance(words, tf.RaggedTensor):
        words = tf.RaggedTensor.from_tensor(words)
    flat = tf.strings.unicode_transcode(words.flat_values, "UTF-8", "UTF-8", errors="replace")
    lengths = tf.strings.length(flat, unit="UTF8_CHAR") + 1
    # Counted from the beginning of the row.
    before = tf.concat([[0], tf.cumsum(lengths)], 0)
    starts = before[:-1] - tf.gather(before, tf.gather(words.row_splits, words.value_rowids()))
    # A separator would be left out behind empty words at the beginning of a row.
    spaced = tf.strings.join([tf.where(starts > 0, " ", ""), flat])
    texts = tf.strings.reduce_join(words.with_flat_values(spaced), axis=1)
    return texts, words.with_flat_values(starts)


def find_visible_tokens(text, starts, ends):
    """Finds the pieces that stand for more than white space.

    Args:
        text: string (B,).
        starts, ends: int32 ragged (B, T). Where each piece lies in its text.
    Returns:
        bool (pieces,).
    """
    characters = _split_characters(text)
    is_visible = ~tf.strings.regex_full_match(characters.flat_values, _WHITE_SPACE)
    before = tf.concat([[0], tf.cumsum(tf.cast(is_visible, tf.int32))], 0)
    row_starts = tf.gather(characters.row_splits, starts.value_rowids())
    first, last = (
        tf.gather(before, row_starts + tf.cast(places.flat_values, tf.int64))
        for places in (starts, ends)
    )
    return last > first


def _split_characters(text):
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    return tf.strings.unicode_split(text, "UTF-8")


def split_words(starts, is_visible, word_starts):
    """Finds the word of each piece.

    Args:
        starts: int32 ragged (B, T). Where each piece begins in its text.
        is_visible: bool (pieces,), of `find_visible_tokens`.
        word_starts: int32 ragged (B, W). Where each word begins, as `join_words` gives it.
    Returns:
        numbers: int32 (pieces,). Words are numbered through all rows, as the flat values of
            `word_starts` are.
        is_first: bool (pieces,). Whether the piece is the first solid one of its word.
    """
    # One number line for all rows: a row's places follow those of the row before.
    longest = tf.reduce_max(tf.concat([starts.flat_values, word_starts.flat_values, [0]], 0))
    width = tf.cast(longest, tf.int64) + 1

    def unroll(places):
        return places.value_rowids() * width + tf.cast(places.flat_values, tf.int64)

    numbers = tf.searchsorted(unroll(word_starts), unroll(starts), side="right") - 1
    solid = tf.where(is_visible)
    words = tf.gather(numbers, solid[:, 0])
    is_first = words != tf.concat([[-1], words], 0)[:-1]
    return numbers, tf.scatter_nd(solid, is_first, tf.shape(numbers, tf.int64))


def find_word_starts(text, ids, starts, ends, continues_word):
    """Finds the pieces that begin a word of running text.

    Words end at white space and at marks, and a mark is a word. Where the tokenizer's own words are
    shorter, as with Chinese characters, these count.

    Args:
        text: string (B,).
        ids, starts, ends: int32 ragged (B, T), the solid pieces.
        continues_word: bool array (V,). The ids that go on with a word, as tokenizers have it.
    Returns:
        bool (pieces,).
    """
    characters = _split_characters(text)
    is_border = tf.strings.regex_full_match(characters.flat_values, _BORDER)
    # One more in front, which is before the first character.
    is_border = tf.concat([[True], is_border], 0)
    rows = ids.value_rowids()
    places = tf.gather(characters.row_splits, rows) + tf.cast(starts.flat_values, tf.int64)
    is_mark, is_behind_border = tf.gather(is_border, places + 1), tf.gather(is_border, places)
    is_new_row = tf.concat([[-1], rows], 0)[:-1] != rows
    previous_ends = tf.concat([[0], ends.flat_values], 0)[:-1]
    # A character may be several pieces.
    is_apart = starts.flat_values >= previous_ends
    begins = is_mark | is_behind_border | ~tf.gather(continues_word, ids.flat_values)
    return is_new_row | (is_apart & begins)


def decode_spans(scheme, tags, scores, starts, ends):
    """Finds the spans of rows of tagged words, as `lmzoo.metrics.find_spans` does.

    Args:
        scheme: TagScheme.
        tags: int32 ragged (B, W).
        scores: float32 ragged (B, W).
        starts, ends: int32 ragged (B, W). Where each word lies in its text.
    Returns:
        dict of `spans` int32 (B, S, 2), start and end in characters, filled up with -1; `types`
        int32 (B, S), numbers of `scheme.types`, filled up with -1; and `scores` float32 (B, S), the
        mean over the words, filled up with 0.
    """
    rows, flat = tags.value_rowids(), tags.flat_values
    types = tf.gather(scheme.type_ids, flat)
    is_new_row = tf.concat([[-1], rows], 0)[:-1] != rows
    previous = tf.where(is_new_row, scheme.outside, tf.concat([[scheme.outside], flat], 0)[:-1])
    begins = tf.gather_nd(scheme.begins, tf.stack([previous, flat], axis=-1))
    inside = types >= 0
    # The number of each word's span, through all rows.
    numbers = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)

    def pick(values, where):
        return tf.boolean_mask(values.flat_values, where)

    span_ends = tf.math.segment_max(pick(ends, inside), numbers)
    span_scores = tf.math.segment_mean(pick(scores, inside), numbers)
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
