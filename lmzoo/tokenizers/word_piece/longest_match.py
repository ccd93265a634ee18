"""WordPiece's longest-match-first algorithm for many words at once, in TensorFlow ops.

The definition goes word by word: take the longest token that the rest of the word begins with,
until nothing is left. Here all words are processed together, in two steps. First the longest token
is found from *every* character on, by walking down a trie of the tokens from all of them together;
most walks end after a few characters. Then each word jumps from its first character to the end of
the token there, and so on, until it arrives at its end or at a character where no token begins.
"""

import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.ragged_rows import find_segments, mark_starts

__all__ = ["LongestMatcher", "make_trie"]

_POINT_BITS = 21
_ID_BITS = 21
_NO_EDGE = -1


class LongestMatcher(tf.Module):
    """Splits words into tokens, longest match first.

    Args:
        initial_tokens: dict of str to int. The tokens a word may begin with, and their ids.
        continuing_tokens: dict of str to int. The tokens behind another one, without their prefix.
        unknown_id: int. The id of a word that the tokens do not make.
        max_word_characters: int. Longer words are unknown.
    Reference: Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 4.1, for the algorithm;
    Song et al. 2020, https://arxiv.org/abs/2012.15524, for walking a trie of the tokens.
    """

    def __init__(self, initial_tokens, continuing_tokens, unknown_id, max_word_characters):
        super().__init__(name="longest_matcher")
        self._unknown_id = unknown_id
        self._max_word_characters = max_word_characters
        keys, values = make_trie([initial_tokens, continuing_tokens], max_word_characters)
        with tf.init_scope():
            self._edges = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    # One more entry: a trie without edges must still make a table.
                    tf.constant(np.append(keys, -1), tf.int64),
                    tf.constant(np.append(values, _NO_EDGE), tf.int64),
                ),
                default_value=_NO_EDGE,
            )

    def match(self, words):
        """Splits each word.

        Args:
            words: string (W,). Valid UTF-8, none empty.
        Returns:
            ids: int32 (n,). The tokens of all words, concatenated.
            starts: int32 (n,). The offset in characters at which each token begins in its word.
            ends: int32 (n,). The offset at which it ends.
            splits: int64 (W + 1,). Word boundaries in `ids`, from 0 to n.
        """
        word_splits, points = tf.raw_ops.UnicodeDecode(input=words, input_encoding="UTF-8")
        word_splits = tf.cast(word_splits, tf.int32)
        first, last = word_splits[:-1], word_splits[1:]
        short = last - first <= self._max_word_characters
        words_of = find_segments(word_splits)
        word_ends = tf.gather(tf.where(short, last, 0), words_of)
        at_first = mark_starts(word_splits)
        ids, ends = self._find_longest(points, at_first, word_ends)
        reached, known = self._jump(ends, tf.where(short, first, -1), last)
        # A word that did not arrive at its end is one unknown token.
        lost = tf.where(~known)
        begins = tf.gather(first, lost[:, 0])[:, None]
        unknown = tf.fill(tf.shape(lost)[:1], self._unknown_id)
        ids = tf.tensor_scatter_nd_update(ids, begins, unknown)
        ends = tf.tensor_scatter_nd_update(ends, begins, tf.gather(last, lost[:, 0]))
        kept = tf.where((reached & tf.gather(known, words_of)) | at_first)[:, 0]
        begin = tf.gather(first, tf.gather(words_of, kept))
        starts = tf.cast(kept, tf.int32) - begin
        splits = tf.searchsorted(tf.cast(kept, tf.int32), word_splits, out_type=tf.int64)
        return tf.gather(ids, kept), starts, tf.gather(ends, kept) - begin, splits

    def _find_longest(self, points, at_first, word_ends):
        """The id of the longest token from each character on, and where it ends, two int32 (m,).

        Args:
            points: int32 (m,). The code points of all words.
            at_first: bool (m,). Whether a word begins here.
            word_ends: int32 (m,). Where the character's word ends; 0 if it is too long.
        """

        def walk(positions, cursors, nodes, ids, ends):
            keys = tf.bitwise.left_shift(nodes, _POINT_BITS)
            found = self._edges.lookup(keys + tf.cast(tf.gather(points, cursors), tf.int64))
            token_ids = tf.cast(tf.bitwise.bitwise_and(found, (1 << _ID_BITS) - 1), tf.int32) - 1
            cursors += 1
            hit = tf.where((found != _NO_EDGE) & (token_ids >= 0))
            where = tf.gather(positions, hit)
            ids = tf.tensor_scatter_nd_update(ids, where, tf.gather(token_ids, hit[:, 0]))
            ends = tf.tensor_scatter_nd_update(ends, where, tf.gather(cursors, hit[:, 0]))
            inside = cursors < tf.gather(word_ends, positions)
            on = tf.where((found != _NO_EDGE) & inside)[:, 0]
            nodes = tf.bitwise.right_shift(tf.gather(found, on), _ID_BITS)
            return tf.gather(positions, on), tf.gather(cursors, on), nodes, ids, ends

        positions = tf.cast(tf.where(word_ends > 0)[:, 0], tf.int32)
        roots = tf.cast(~tf.gather(at_first, positions), tf.int64)
        nothing = tf.zeros_like(points)
        flat = tf.TensorShape([None])
        *_, ids, ends = tf.while_loop(
            lambda positions, *_: tf.size(positions) > 0,
            walk,
            [positions, positions, roots, nothing, nothing],
            shape_invariants=[flat] * 5,
        )
        return ids, ends

    def _jump(self, ends, positions, last):
        """Follows the tokens from each word's first character on.

        Args:
            ends: int32 (m,). Where the longest token from each character on ends; 0 for none.
            positions: int32 (W,). Where each word begins; -1 if it is too long.
            last: int32 (W,). Where it ends.
        Returns:
            reached: bool (m,). Whether a token of its word begins here.
            known: bool (W,). Whether the word arrived at its end.
        """

        def jump(words, positions, reached, known):
            reached = tf.tensor_scatter_nd_update(
                reached, positions[:, None], tf.ones_like(positions, tf.bool)
            )
            positions = tf.gather(ends, positions)
            arrived = tf.boolean_mask(words, positions == tf.gather(last, words))
            known = tf.tensor_scatter_nd_update(
                known, arrived[:, None], tf.ones_like(arrived, tf.bool)
            )
            on = tf.where((positions > 0) & (positions < tf.gather(last, words)))[:, 0]
            return tf.gather(words, on), tf.gather(positions, on), reached, known

        words = tf.where(positions >= 0)[:, 0]
        *_, reached, known = tf.while_loop(
            lambda words, *_: tf.size(words) > 0,
            jump,
            [
                words,
                tf.gather(positions, words),
                tf.zeros_like(ends, tf.bool),
                tf.zeros_like(positions, tf.bool),
            ],
            shape_invariants=[tf.TensorShape([None])] * 4,
        )
        return reached, known


def make_trie(roots, max_characters):
    """Makes the edges of several tries of tokens; trie i has node i as its root.

    Args:
        roots: list of dict of str to int. The tokens of each trie and their ids, none negative.
        max_characters: int. Longer tokens are left out.
    Returns:
        keys: int64 (E,). The node an edge leaves, and behind it the code point, 21 bits.
        values: int64 (E,). The node it comes to, and behind it the id that ends there plus 1, or
            0, 21 bits.
    """
    entries = [
        (root, token, index)
        for root, tokens in enumerate(roots)
        for token, index in tokens.items()
        if 0 < len(token) <= max_characters
    ]
    lengths = np.array([len(token) for _, token, _ in entries], np.int64)
    text = "".join(token for _, token, _ in entries)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    nodes = np.array([root for root, _, _ in entries], np.int64)
    ids = np.array([index for _, _, index in entries], np.int64)
    count, keys, values = len(roots), [], []
    # Level by level: equal keys are one edge.
    for depth in range(lengths.max(initial=0)):
        here = np.flatnonzero(lengths > depth)
        level = nodes[here] << _POINT_BITS | points[starts[here] + depth]
        edges, index = np.unique(level, return_inverse=True)
        nodes[here] = count + index
        targets = count + np.arange(len(edges)) << _ID_BITS
        ending = lengths[here] == depth + 1
        targets[index[ending]] += ids[here[ending]] + 1
        keys.append(edges)
        values.append(targets)
        count += len(edges)
    empty = [np.zeros(0, np.int64)]
    return np.concatenate(keys or empty), np.concatenate(values or empty)
