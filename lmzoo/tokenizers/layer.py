"""A tokenizer as a Keras layer: text in, token batches out, in a model of one's own."""

import keras
import tensorflow as tf

from lmzoo.tokenizers.tokenizer import Tokenizer

__all__ = ["TokenizerLayer"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TokenizerLayer(keras.layers.Layer):
    """Tokenizes texts, truncates them and pads them on the right to one length.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`.
        sequence_length: int. T.
        add_special: bool. Whether texts get the start and the end token that models of the
            tokenizer's kind are trained with: both for BERT and RoBERTa, an end token for T5, a
            start token for Llama, none for GPT-2.
        allow_special: list of str. Special tokens that texts may contain.
    Call arguments:
        text: string (B,) or (B, 1).
    Returns:
        dict with `token_ids` int32 (B, T) and `padding_mask` bool (B, T), True for real tokens.
    Raises:
        TypeError: if `tokenizer` is not a tokenizer or `sequence_length` not an int.
        ValueError: if `sequence_length` leaves no room for a token.

    Example:
        text = keras.Input((), dtype="string")
        hidden = backbone(tokenizer.as_layer(sequence_length=64)(text))["sequence_output"]
        model = keras.Model(text, keras.layers.Dense(2)(hidden[:, 0]))
    """

    def __init__(
        self, tokenizer, sequence_length, add_special=True, allow_special=(), name=None, **kwargs
    ):
        super().__init__(name=name, **kwargs)
        if not isinstance(tokenizer, Tokenizer | str):
            raise TypeError(
                f"`tokenizer` must be a tokenizer. Received: a {type(tokenizer).__name__}."
            )
        if type(sequence_length) is not int:
            raise TypeError(
                "`sequence_length` must be an int. Received: "
                f"sequence_length={sequence_length!r:.60}."
            )
        self.tokenizer = None if isinstance(tokenizer, str) else tokenizer
        # A layer that is read from a file has its tokenizer among the assets of the file.
        self._class_name = tokenizer if isinstance(tokenizer, str) else type(tokenizer).__name__
        self.sequence_length = sequence_length
        self.add_special = add_special
        self.allow_special = tuple(allow_special)
        if self.tokenizer is not None:
            self._find_special()
        self.built = True

    def _find_special(self):
        """(start, end): lists of the ids around a text."""
        tokenizer = self.tokenizer
        start, end = tokenizer.start_token_id, tokenizer.end_token_id
        if not self.add_special:
            start = end = None
        elif start is not None and not tokenizer.add_bos_and_eos:
            if tokenizer.add_start_token:
                end = None
            elif start == end:
                start = end = None
        found = [[token_id] if token_id is not None else [] for token_id in (start, end)]
        if self.sequence_length <= len(found[0]) + len(found[1]):
            raise ValueError(
                "`sequence_length` must leave room for a token beside the special ones. Received: "
                f"sequence_length={self.sequence_length}."
            )
        return found

    def call(self, text):
        start, end = self._find_special()
        ids = self.tokenizer.tokenize(tf.reshape(text, [-1]), self.allow_special)
        ids = ids[:, : self.sequence_length - len(start) - len(end)]
        rows = ids.nrows()
        start, end = (tf.tile(tf.constant([each], tf.int32), [rows, 1]) for each in (start, end))
        ids = tf.concat([start, ids, end], axis=1)
        pad = self.tokenizer.pad_token_id or 0
        token_ids = ids.to_tensor(pad, shape=[None, self.sequence_length])
        mask = tf.sequence_mask(ids.row_lengths(), self.sequence_length)
        return {"token_ids": token_ids, "padding_mask": mask}

    def compute_output_spec(self, text):
        shape = (text.shape[0], self.sequence_length)
        return {
            "token_ids": keras.KerasTensor(shape, "int32"),
            "padding_mask": keras.KerasTensor(shape, "bool"),
        }

    def save_assets(self, folder):
        self.tokenizer.save(folder)

    def load_assets(self, folder):
        from lmzoo import tokenizers

        kinds = {
            kind.__name__: kind
            for kind in map(vars(tokenizers).get, tokenizers.__all__)
            if issubclass(kind, Tokenizer)
        }
        if self._class_name not in kinds:
            raise ValueError(
                f"`tokenizer` must be one of {', '.join(kinds)}. Received: {self._class_name!r}."
            )
        self.tokenizer = kinds[self._class_name].load(folder)

    def get_config(self):
        return {
            **super().get_config(),
            "tokenizer": self._class_name,
            "sequence_length": self.sequence_length,
            "add_special": self.add_special,
            "allow_special": list(self.allow_special),
        }
