"""Llama 3's and Qwen2's pre-tokenization, by runs of code points of one class.

The pattern, here in five pieces, is `(?i:'s|'t|'re|'ve|'m|'ll|'d)|`, then
`[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|`, then `\\p{N}{1,3}|`, then ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|`, and
`\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`. How far a word of white space extends depends on a line end that
may stand anywhere behind it, so the neighbours of a code point are not enough, as they are for
GPT-2's pattern. But in the longest runs of letters, numbers, line ends, other white space and other
marks, whether a word begins at a run depends only on two runs to its left and one to its right:

- letters continue the word of white space, and of a lone mark that begins a word;
- marks continue that of one space; line ends continue that of marks and of white space;
- white space continues that of line ends if others follow, unless those belong to marks;
- the last of white space begins a word if something other than a line end follows.

Inside a run, a word begins behind a contraction, and at each n-th digit.
"""

import tensorflow as tf

from lmzoo.tokenizers.unicode.gpt2_pre_tokenizer import (
    LETTER,
    NUMBER,
    OTHER,
    OUTSIDE,
    SPACE,
    GPT2PreTokenizer,
    find_contractions,
    lowercase_contractions,
    shift,
)

__all__ = ["LlamaPreTokenizer"]

_LINE_END = OUTSIDE + 1


class LlamaPreTokenizer(GPT2PreTokenizer):
    """Finds where the words of Llama 3 and Qwen2 begin.

    Args:
        num_digits: int. How many digits a word has at most: 3 for Llama 3, 1 for Qwen2.
    Reference: Llama Team 2024, https://arxiv.org/abs/2407.21783, section 3.2, and Yang et al. 2024,
    https://arxiv.org/abs/2407.10671, section 2.1; the patterns are those of the published
    tokenizers.
    """

    def __init__(self, num_digits):
        super().__init__()
        self._num_digits = num_digits

    def _find_starts(self, code_points, row_splits, size):
        edges = tf.scatter_nd(row_splits[:, None], tf.ones_like(row_splits, tf.int32), [size + 1])
        first, last = edges[:-1] > 0, edges[1:] > 0
        classes = self._classify(code_points)
        is_line_end = (code_points == ord("\r")) | (code_points == ord("\n"))
        classes = tf.where(is_line_end, tf.constant(_LINE_END, tf.uint8), classes)
        begins = first | (classes != shift(classes, 1))
        run = tf.cumsum(tf.cast(begins, tf.int32)) - 1
        behind_space = (shift(code_points, 1) == ord(" ")) & ~first

        places = tf.where(begins)[:, 0]
        at_start, at_last = _join_runs(
            tf.gather(classes, places),
            tf.gather(first, places),
            tf.gather(behind_space, places),
            tf.concat([places[1:], [size]], 0) - places,
        )
        starts = begins & tf.gather(at_start, run)
        ends = shift(begins, -1) | last
        starts |= ends & tf.gather(at_last, run)
        starts |= self._find_digits(classes, tf.gather(places, run), size)

        short, long = find_contractions(lowercase_contractions(code_points), last)
        opens = starts & (classes == OTHER)
        short, long = short & opens, long & opens
        joined = shift(short | long, 1)
        return (starts & ~joined) | shift(short, 2) | shift(long, 3)

    def _find_digits(self, classes, run_starts, size):
        offsets = tf.range(size) - run_starts
        return (classes == NUMBER) & (offsets % self._num_digits == 0)


def _join_runs(classes, first, behind_space, lengths):
    """Whether a word begins at the first and at the last character of each run.

    Args:
        classes: uint8 (R,).
        first: bool (R,). Whether a row begins with the run.
        behind_space: bool (R,). Whether U+0020 stands before it.
        lengths: int64 (R,).
    Returns:
        at_start, at_last: bool (R,).
    """
    outside = tf.constant(OUTSIDE, tf.uint8)
    before = tf.where(first, outside, shift(classes, 1))
    two_before = tf.where(first, outside, shift(before, 1))
    after = tf.where(shift(first, -1), outside, shift(classes, -1))
    # The zeros that are shifted in behind the last run stand for marks.
    after = tf.concat([after[:-1], tf.fill(tf.shape(after[-1:]), outside)], 0)

    is_lone_mark = (classes == OTHER) & (lengths == 1) & ~behind_space
    letters = (before == SPACE) | (shift(is_lone_mark, 1) & ~first)
    line_ends = (before == OTHER) | (before == SPACE)
    spaces = (after == _LINE_END) & (before == _LINE_END) & (two_before != OTHER)
    goes_on = ((classes == LETTER) & letters) | ((classes == OTHER) & behind_space)
    goes_on |= ((classes == _LINE_END) & line_ends) | ((classes == SPACE) & spaces)
    at_last = (classes == SPACE) & (after != _LINE_END) & (after != OUTSIDE)
    return ~goes_on, at_last
