"""GPT-2's pre-tokenization, as comparisons of neighbouring code points.

The pattern, here in three pieces, is `'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+|`, then
` ?[^\\s\\p{L}\\p{N}]+|`, then `\\s+(?!\\S)|\\s+`. RE2, the engine in TensorFlow, has no look-ahead
and an older Unicode. But whether a word begins at a code point depends on three neighbours to its
left and two to its right alone:

- at a change of class, unless one space stands before it (the word began with that space) or the
  apostrophe of a contraction does;
- behind a contraction, and at one: an apostrophe that neither a space nor another mark precedes;
- in white space, at its first code point, and at its last if something follows.
"""

import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import mark_starts

__all__ = [
    "LETTER",
    "NUMBER",
    "OTHER",
    "OUTSIDE",
    "SPACE",
    "CodePointClasses",
    "DigitsPreTokenizer",
    "GPT2PreTokenizer",
    "find_contractions",
    "lowercase_contractions",
    "shift",
]

OTHER, LETTER, NUMBER, SPACE, OUTSIDE = range(5)
_BLOCK_BITS = 8
# The one character beyond ASCII that is, but for its case, one of the contractions' letters.
_LONG_S = 0x17F


class CodePointClasses(tf.Module):
    """A table of the classes of all code points.

    Args:
        name: str. "classes" for `OTHER` to `SPACE`; "cases" for those of letters and marks: none,
            upper, lower, any; "digits" for what the pre-tokenizer `Digits` takes for one.
    """

    def __init__(self, name):
        super().__init__(name=name)
        path = pathlib.Path(__file__).with_name("code_point_classes.npz")
        with np.load(path, allow_pickle=False) as file:
            starts, values = file[f"{name}_starts"], file[f"{name}_values"]
        classes = np.repeat(values, np.diff(starts, append=0x110000))
        blocks, index = np.unique(
            classes.reshape(-1, 1 << _BLOCK_BITS), axis=0, return_inverse=True
        )
        with tf.init_scope():
            self._block_starts = tf.constant(index.reshape(-1) << _BLOCK_BITS, tf.int32)
            self._classes = tf.constant(blocks.reshape(-1))

    def look_up(self, code_points):
        """Gives the class of each code point, uint8 (n,)."""
        block = tf.gather(self._block_starts, tf.bitwise.right_shift(code_points, _BLOCK_BITS))
        inside = tf.bitwise.bitwise_and(code_points, (1 << _BLOCK_BITS) - 1)
        return tf.gather(self._classes, block + inside)


class GPT2PreTokenizer(tf.Module):
    """Finds where GPT-2's words begin.

    Reference: Radford et al. 2019, "Language models are unsupervised multitask learners",
    section 2.2; the pattern is the one in the code that was published with it.
    """

    def __init__(self):
        super().__init__(name="pre_tokenizer")
        self._classes = CodePointClasses("classes")

    def split(self, code_points, row_splits):
        """Splits rows of code points into words.

        Args:
            code_points: int32 (n,). The valid code points of all rows, concatenated.
            row_splits: int64 (B + 1,). Row boundaries, from 0 to n.
        Returns:
            word_splits: int64 (W + 1,). Word boundaries in `code_points`, from 0 to n.
            row_words: int64 (B + 1,). Row boundaries in the words, from 0 to W.
        """
        size = tf.size(code_points, out_type=tf.int64)
        starts = tf.where(self._find_starts(code_points, row_splits, size))[:, 0]
        row_words = tf.searchsorted(starts, row_splits, out_type=tf.int64)
        return tf.concat([starts, [size]], 0), row_words

    def _find_starts(self, code_points, row_splits, size):
        edges = tf.scatter_nd(row_splits[:, None], tf.ones_like(row_splits, tf.int32), [size + 1])
        first, last = edges[:-1] > 0, edges[1:] > 0
        classes = self._classify(code_points)
        before = tf.where(first, tf.constant(OUTSIDE, tf.uint8), shift(classes, 1))
        after = tf.where(last, tf.constant(SPACE, tf.uint8), shift(classes, -1))
        joins = (shift(code_points, 1) == ord(" ")) & ~first
        short, long = find_contractions(code_points, last)
        opens = (before != OTHER) & ~joins
        short, long = short & opens, long & opens
        contracted = short | long
        change = (classes != before) & ~joins & ~shift(contracted, 1)
        blank = classes == SPACE
        blank_start = blank & ((before != SPACE) | (after != SPACE))
        behind = shift(short, 2) | shift(long, 3)
        return first | behind | blank_start | (change & ~blank)

    def _classify(self, code_points):
        return self._classes.look_up(code_points)


class DigitsPreTokenizer(GPT2PreTokenizer):
    """Makes each digit a word, and splits what lies between as GPT-2 does, as SmolLM.

    What lies between is split by itself: white space before a digit is at the end of a text.
    """

    def __init__(self):
        super().__init__()
        self._digits = CodePointClasses("digits")

    def split(self, code_points, row_splits):
        """Splits rows of code points into words; takes and gives as `GPT2PreTokenizer.split`."""
        digits = self._digits.look_up(code_points) > 0
        starts = tf.where(digits | shift(digits, 1) | mark_starts(row_splits))[:, 0]
        piece_splits = tf.concat([starts, row_splits[-1:]], 0)
        word_splits, piece_words = super().split(code_points, piece_splits)
        row_pieces = tf.searchsorted(starts, row_splits, out_type=tf.int64)
        return word_splits, tf.gather(piece_words, row_pieces)


def find_contractions(code_points, last):
    """Finds apostrophes that contract a word, whatever stands before them.

    Args:
        code_points: int32 (n,). In lower case where the case does not matter.
        last: bool (n,). Whether a row ends behind each.
    Returns:
        short, long: bool (n,). Where `'s 'd 'm 't` and where `'ll 've 're` begin within a row.
    """
    second = tf.where(last, 0, shift(code_points, -1))
    third = shift(second, -1)
    apostrophe = code_points == ord("'")
    short = apostrophe & _is_any(second, "sdmt")
    ends_in_e = (third == ord("e")) & _is_any(second, "vr")
    ends_in_l = (third == ord("l")) & (second == ord("l"))
    return short, apostrophe & (ends_in_e | ends_in_l)


def _is_any(code_points, characters):
    found = code_points == ord(characters[0])
    for character in characters[1:]:
        found |= code_points == ord(character)
    return found


def shift(values, by):
    """Moves values along their axis.

    Args:
        values: tensor (n,).
        by: int, not 0. How far to the right; negative to the left.
    Returns:
        tensor (n,). The positions that become free hold zeros, or False.
    """
    if by > 0:
        return tf.concat([tf.zeros([by], values.dtype), values], 0)[: tf.size(values)]
    return tf.concat([values[-by:], tf.zeros([-by], values.dtype)], 0)[: tf.size(values)]


def lowercase_contractions(code_points):
    """Lowercases what `find_contractions` looks for, where the case does not matter."""
    is_capital = (code_points >= ord("A")) & (code_points <= ord("Z"))
    lowered = tf.where(is_capital, code_points + 32, code_points)
    return tf.where(code_points == _LONG_S, ord("s"), lowered)
