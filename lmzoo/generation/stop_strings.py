"""Stop strings, found in the bytes of tokens, because one may begin or end inside a token."""

import re
import typing

import numpy as np
import tensorflow as tf

__all__ = ["StopStrings", "TextStart", "find_text_start", "find_token_bytes", "make_stop_strings"]


def make_stop_strings(task, stop_strings):
    """StopStrings for the new text of a task.

    Args:
        task: GenerativeTask.
        stop_strings: tuple of str.
    Raises:
        ValueError: if the task's tokenizer cannot give the bytes of each token.
    """
    tokens = find_token_bytes(task.tokenizer, task.backbone.vocabulary_size)
    start = find_text_start(task.tokenizer, len(tokens)) if task.is_encoder_decoder else None
    return StopStrings(tokens, stop_strings, start)


class TextStart(typing.NamedTuple):
    """What a text loses at its start, as SentencePiece's first space.

    drops_space: bool array (V,). The ids whose first byte is a space that is not in the text as
        long as the text has not begun.
    begins: bool array (V,). The ids with which it has begun.
    """

    drops_space: typing.Any
    begins: typing.Any


class StopStrings:
    """Watches the text of each row for strings that end it.

    Bytes are compared as numbers, not as string tensors, so that the search runs inside XLA.

    Args:
        token_bytes: list of bytes. What each id of the vocabulary stands for.
        stops: list of str.
        start: TextStart or None. Which spaces are not in the text; None where it goes on with
            another one, and so has them all.
    """

    def __init__(self, token_bytes, stops, start=None):
        longest = max(len(stop.encode()) for stop in stops)
        width = max(1, max(len(data) for data in token_bytes))
        # Filled on the left with -1, which no byte and no stop string equals.
        self._bytes = _fill_left([list(data) for data in token_bytes], width, np.int16)
        self._lengths = np.array([len(data) for data in token_bytes], np.int32)
        # Stop strings are filled with -2: those places match anything.
        self._stops = _fill_left([list(stop.encode()) for stop in stops], longest, np.int16, -2)
        self._start = start
        self.pattern = "(?s)(?:" + "|".join(re.escape(stop) for stop in stops) + ").*"

    def init_memory(self, rows):
        """The last bytes of each row, none at first."""
        width = self._stops.shape[1] + self._bytes.shape[1]
        memory = {"tail": tf.fill([rows, width], tf.constant(-1, tf.int16))}
        return memory if self._start is None else {**memory, "begun": tf.zeros([rows], tf.bool)}

    def find(self, state, token_ids):
        """Whether a stop string ends within the text of `token_ids` (R,).

        Args:
            state: DecodeState, whose memory holds the `tail`.
            token_ids: int32 (R,). The tokens about to be appended.
        Returns:
            bool (R,) and the new memory.
        """
        memory = dict(state.memory)
        tail = memory["tail"]
        new = tf.gather(tf.constant(self._bytes), token_ids)
        length = tf.gather(tf.constant(self._lengths), token_ids)
        if self._start is not None:
            drops, begins = (tf.gather(tf.constant(each), token_ids) for each in self._start)
            # The space is the first byte, so the bytes without it are the last ones.
            length -= tf.cast(drops & ~memory["begun"], tf.int32)
            memory["begun"] |= begins
        # The new bytes stand at the right end of `new`; shift the old ones against them.
        width = tail.shape[1]
        index = tf.range(width) + tf.expand_dims(length, 1)
        both = tf.concat([tail, tf.fill(tf.shape(new), tf.constant(-1, tf.int16))], axis=1)
        kept = tf.gather(both, index, axis=1, batch_dims=1)
        new = tf.pad(new, [[0, 0], [width - self._bytes.shape[1], 0]], constant_values=-1)
        is_new = tf.range(width) >= width - tf.expand_dims(length, 1)
        tail = tf.where(is_new, new, kept)
        # (R, W) -> (R, E, Q): the window of the stops' width that ends at each of the last E bytes
        longest = self._stops.shape[1]
        ends = np.arange(width - self._bytes.shape[1], width)
        windows = tf.gather(tail, ends[:, None] + np.arange(1 - longest, 1)[None], axis=1)
        stops = tf.constant(self._stops)
        same = (tf.expand_dims(windows, 2) == stops) | (stops == -2)
        # A stop that ended before the new bytes has been found before.
        fresh = tf.gather(is_new, ends, axis=1)
        hits = tf.reduce_any(tf.reduce_all(same, axis=-1), axis=-1) & fresh
        return tf.reduce_any(hits, axis=1), {**memory, "tail": tail}

    def cut(self, texts):
        """Ends each text, string (B,), before the first stop string in it."""
        return tf.strings.regex_replace(texts, self.pattern, "", replace_global=False)


def find_token_bytes(tokenizer, size):
    """What each id stands for inside a text: list of bytes; special tokens stand for nothing.

    Args:
        tokenizer: a tokenizer whose ids stand for the same wherever they are, or None.
        size: int. How many ids there are; a backbone may have more than the tokenizer has tokens.
    Raises:
        ValueError: if there is no such tokenizer.
    """
    if tokenizer is None:
        raise ValueError("`stop_strings` needs a task with a tokenizer. Received: tokenizer=None.")
    if not hasattr(tokenizer, "detokenize_bytes"):
        raise ValueError(
            "`stop_strings` needs a tokenizer that can `detokenize_bytes`. "
            f"Received: {type(tokenizer).__name__}."
        )
    ids = tf.expand_dims(tf.range(tokenizer.vocabulary_size), 1)
    known = tokenizer.detokenize_bytes(ids).numpy().tolist()
    return known + [b""] * (size - len(known))


def find_text_start(tokenizer, size):
    """What `detokenize` leaves out at the start of a text: TextStart, or None if that is nothing.

    Args:
        tokenizer, size: as for `find_token_bytes`.
    """
    ids = np.arange(tokenizer.vocabulary_size)
    inside = tokenizer.detokenize_bytes(ids[:, None]).numpy()
    alone = tokenizer.detokenize(ids[:, None]).numpy()
    drops_space = inside == b" " + alone
    words = np.flatnonzero(drops_space & (alone != b""))
    if not len(words):
        return None
    # A text has begun with an id if a word behind it keeps its space.
    texts = tokenizer.detokenize(np.stack([ids, np.full_like(ids, words[0])], axis=1)).numpy()
    begins = np.array([text.endswith(inside[words[0]]) for text in texts])
    return TextStart(*(np.pad(each, [0, size - len(ids)]) for each in (drops_space, begins)))


def _fill_left(rows, width, dtype, filler=-1):
    table = np.full((len(rows), width), filler, dtype)
    for row, values in zip(table, rows, strict=True):
        if values:
            row[-len(values) :] = values
    return table
