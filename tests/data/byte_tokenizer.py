"""A tokenizer for tests: every byte is its own id, and id 256 ends a text."""

import pathlib

import tensorflow as tf


class ByteTokenizer:
    def __init__(self, vocabulary_size=257, end_token_id=256, note=""):
        self.vocabulary_size = vocabulary_size
        self.end_token_id = end_token_id
        self.note = note

    def tokenize(self, texts):
        texts = tf.convert_to_tensor(texts, tf.string)
        ids = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8), tf.int32)
        return tf.RaggedTensor.from_row_lengths(ids, tf.strings.length(texts))

    def save(self, folder):
        (pathlib.Path(folder) / "note.txt").write_text(self.note)
