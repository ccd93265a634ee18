"""Pre-tokenization by patterns that look at the case of letters: Tekken's, and GPT-4o's.

A word is the match of a regular expression, and the next match begins where it ends. Say upper for
`[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]` and lower for `[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]`, which overlap.
Then the alternatives are, in this order:

1. `[^\\r\\n\\p{L}\\p{N}]?` upper* lower+
2. `[^\\r\\n\\p{L}\\p{N}]?` upper+ lower*
3. `\\p{N}` up to the number of digits
4. ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*`
5. `\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

In GPT-4o's, an English contraction may follow 1 and 2. Where the match ends that begins at a code
point follows from where the runs of each kind end, so it is found for all code points at once. Then
the code points are marked that are reached from the start of a row, in as many steps as a word
count has binary digits.
"""

import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts
from lmzoo.tokenizers.unicode.gpt2_pre_tokenizer import (
    LETTER,
    NUMBER,
    OTHER,
    SPACE,
    CodePointClasses,
    find_contractions,
    lowercase_contractions,
    shift,
)

__all__ = ["CasedPreTokenizer"]

_UPPER, _LOWER, _ANY_CASE = 1, 2, 3
_NONE = -1


class CasedPreTokenizer(tf.Module):
    """Finds the words of Tekken or of GPT-4o.

    Args:
        num_digits: int. How many digits a word has at most: 1 for Tekken, 3 for GPT-4o.
        contractions: bool. If True, a word of letters takes the contraction behind it.
    Reference: the regular expressions are those of the published tokenizer files.
    """

    def __init__(self, num_digits, contractions):
        super().__init__(name="cased_pre_tokenizer")
        self._num_digits = num_digits
        self._contractions = contractions
        self._classes = CodePointClasses("classes")
        self._cases = CodePointClasses("cases")

    def split(self, code_points, row_splits):
        """Splits rows of code points into words; takes and gives as `GPT2PreTokenizer.split`."""
        ends = self._find_ends(code_points, row_splits)
        starts = tf.where(_follow(ends, mark_starts(row_splits)))[:, 0]
        row_words = tf.searchsorted(starts, row_splits, out_type=tf.int64)
        return tf.concat([starts, row_splits[-1:]], 0), row_words

    def _find_ends(self, code_points, row_splits):
        """Where the match that begins at each code point ends, int32 (n,)."""
        size = tf.size(code_points)
        index = tf.range(size)
        first = mark_starts(row_splits)
        row_ends = tf.gather(tf.cast(row_splits[1:], tf.int32), find_segments(row_splits))
        classes, cases = self._classes.look_up(code_points), self._cases.look_up(code_points)
        line_end = (code_points == ord("\r")) | (code_points == ord("\n"))
        mark, space = classes == OTHER, classes == SPACE

        def run_ends(mask):
            """The end of the run of True from each code point on; itself where it is False."""
            begins = first | (mask != shift(mask, 1))
            changes = tf.cast(tf.where(begins)[:, 0], tf.int32)
            run = tf.cumsum(tf.cast(begins, tf.int32)) - 1
            return tf.where(mask, tf.gather(tf.concat([changes[1:], [size]], 0), run), index)

        def last_before(mask):
            """The last True before each code point and before the end, or -1, int32 (n + 1,)."""
            found = tf.concat([[_NONE], tf.cast(tf.where(mask)[:, 0], tf.int32)], 0)
            return tf.gather(found, tf.concat([[0], tf.cumsum(tf.cast(mask, tf.int32))], 0))

        upper = (cases == _UPPER) | (cases == _ANY_CASE)
        lower = (cases == _LOWER) | (cases == _ANY_CASE)
        upper_ends, last_any = run_ends(upper), last_before(cases == _ANY_CASE)
        lower_ends = tf.concat([run_ends(lower), [_NONE]], 0)

        def letters_from(starts, allowed):
            """The ends of upper* lower+ and of upper+ lower* from `starts` on, or -1."""
            starts = tf.where(allowed, starts, 0)
            middle = tf.gather(upper_ends, starts)
            goes_on = (middle < row_ends) & tf.gather(tf.concat([lower, [False]], 0), middle)
            # Otherwise the last letter of any case is the one of lower+.
            last = tf.gather(last_any, middle)
            both = tf.where(last >= starts, last + 1, _NONE)
            both = tf.where(goes_on, tf.gather(lower_ends, middle), both)
            only_upper = tf.where(middle > starts, middle, _NONE)
            return tf.where(allowed, both, _NONE), tf.where(allowed, only_upper, _NONE)

        takes = (classes != LETTER) & (classes != NUMBER) & ~line_end & (index + 1 < row_ends)
        behind, bare = letters_from(index + 1, takes), letters_from(index, index >= 0)
        ends = _first_of(behind[0], bare[0], behind[1], bare[1])
        if self._contractions:
            last = index + 1 == row_ends
            short, long = find_contractions(lowercase_contractions(code_points), last)
            more = tf.where(short, 2, tf.where(long, 3, 0))
            more = tf.gather(tf.concat([more, [0]], 0), tf.maximum(ends, 0))
            ends = tf.where((ends >= 0) & (ends < row_ends), ends + more, ends)

        digits = tf.minimum(run_ends(classes == NUMBER), index + self._num_digits)
        # (n,): the start of the marks, behind a space or at once.
        opens = (code_points == ord(" ")) & shift(mark, -1) & (index + 1 < row_ends)
        mark_ends = tf.gather(run_ends(mark), tf.where(opens, index + 1, index))
        tail_ends = tf.concat([run_ends(line_end | (code_points == ord("/"))), [size]], 0)
        mark_ends = tf.where(mark_ends < row_ends, tf.gather(tail_ends, mark_ends), mark_ends)

        space_ends = run_ends(space)
        last_line_end = tf.gather(last_before(line_end), space_ends)
        cut = tf.where(
            (space_ends < row_ends) & (space_ends - 1 > index), space_ends - 1, space_ends
        )
        space_ends = tf.where(last_line_end >= index, last_line_end + 1, cut)

        rest = tf.where(opens | mark, mark_ends, tf.where(space, space_ends, digits))
        return _first_of(ends, rest)


def _first_of(*ends):
    """The first of several ends that is one."""
    found = ends[-1]
    for other in reversed(ends[:-1]):
        found = tf.where(other >= 0, other, found)
    return found


def _follow(ends, starts):
    """Marks all places that are reached from some, where `ends` leads from one to the next.

    Args:
        ends: int32 (n,). Each greater than its index; n leads nowhere.
        starts: bool (n,).
    Returns:
        bool (n,).
    """
    size = tf.size(ends)
    ends = tf.concat([ends, [size]], 0)
    reached = tf.concat([starts, [False]], 0)

    # After k rounds, `ends` leads 2^k words further, and all are marked that are nearer.
    def double(ends, reached):
        found = tf.boolean_mask(ends, reached)
        update = tf.ones_like(found, tf.bool)
        return tf.gather(ends, ends), tf.tensor_scatter_nd_update(reached, found[:, None], update)

    _, reached = tf.while_loop(
        lambda ends, _: tf.reduce_min(ends) < size,
        double,
        [ends, reached],
        shape_invariants=[tf.TensorShape([None])] * 2,
    )
    # The last round has marked what leads to the end at once.
    return reached[:-1]
