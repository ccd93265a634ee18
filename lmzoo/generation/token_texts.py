"""What a tokenizer says of the texts that a caller forbids or stops at."""

import numpy as np
import tensorflow as tf

from lmzoo.generation import TextStart
from lmzoo.generation.generator import left_pad

__all__ = ["encode_bad_words", "find_text_start", "find_token_bytes", "need_tokenizer"]


def encode_bad_words(tokenizer, words):
    """Bad words as ids: at the start of a text, behind a space, and inside a word.

    Args:
        tokenizer: a tokenizer, or None.
        words: tuple of str.
    Returns:
        int32 (W, M), filled on the left with -1.
    Raises:
        ValueError: if there is no tokenizer.
    """
    need_tokenizer(tokenizer, "bad_words")
    words = tf.constant(words)
    forms = [tokenizer.tokenize(words), tokenizer.tokenize(tf.strings.join([" ", words]))]
    inside = tokenizer.tokenize_continuation(words)
    ids, mask = left_pad(tf.concat([*forms, inside], axis=0))
    return tf.where(mask, ids, -1)


def find_token_bytes(tokenizer, size):
    """What each id stands for inside a text: list of bytes; special tokens stand for nothing.

    Args:
        tokenizer: a tokenizer whose ids stand for the same wherever they are, or None.
        size: int. How many ids there are; a backbone may have more than the tokenizer has words.
    Raises:
        ValueError: if there is no such tokenizer.
    """
    need_tokenizer(tokenizer, "stop_strings")
    if not hasattr(tokenizer, "detokenize_bytes"):
        raise ValueError(
            "`stop_strings` needs a tokenizer whose tokens say themselves which spaces they have. "
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


def need_tokenizer(tokenizer, name):
    """Refuses what speaks of text where the task has no tokenizer.

    Raises:
        ValueError: if it has none.
    """
    if tokenizer is None:
        raise ValueError(f"`{name}` needs a task with a tokenizer. Received: tokenizer=None.")
