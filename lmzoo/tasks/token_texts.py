"""What a tokenizer says of the texts that a caller forbids or stops at."""

import tensorflow as tf

from lmzoo.tasks.generator import left_pad

__all__ = ["encode_bad_words", "find_token_bytes", "need_tokenizer"]


def encode_bad_words(tokenizer, words):
    """Bad words as int32 (W, M), filled on the left with -1; each with and without a space."""
    need_tokenizer(tokenizer, "bad_words")
    forms = [form for word in words for form in (word, " " + word)]
    ids, mask = left_pad(tokenizer.tokenize(tf.constant(forms)))
    return tf.where(mask, ids, -1)


def find_token_bytes(tokenizer):
    """list of bytes: what each id stands for inside a text; special tokens stand for nothing."""
    need_tokenizer(tokenizer, "stop_strings")
    ids = tf.expand_dims(tf.range(tokenizer.vocabulary_size), 1)
    return tokenizer.detokenize_bytes(ids).numpy().tolist()


def need_tokenizer(tokenizer, name):
    """Refuses what speaks of text where the task has no tokenizer.

    Raises:
        ValueError: if it has none.
    """
    if tokenizer is None:
        raise ValueError(f"`{name}` needs a task with a tokenizer. Received: tokenizer=None.")
