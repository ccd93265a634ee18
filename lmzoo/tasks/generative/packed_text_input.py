"""Raw text for the Keras methods of a causal language model, packed into full examples."""

import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.data.objectives.causal_lm import pack_texts
from lmzoo.data.objectives.text_sources import read_texts
from lmzoo.keywords import takes_options
from lmzoo.layers.checks import check_size
from lmzoo.tasks.discriminative.text_arguments import FitOptions, check_tokenizer, is_raw

__all__ = ["PackedTextInput"]

# A context may have a million positions, and a step over so many fits no memory.
_LONGEST_DEFAULT = 1024


class PackedTextInput:
    """A mixin before `Task`: methods of Keras take raw text as well as token batches.

    Raw text is a list of str, an array or eager tensor of strings, a finite tf.data.Dataset of
    strings, `lmzoo.data.Rows` with a column `text`, or files: one pathlib.Path or a list of them.
    A str is always a text, and a pathlib.Path is always a file.

    In training, texts are concatenated and cut into examples of equal length (packing). An end
    token stands before and after each text; where prompts begin with a start token
    (`tokenizer.add_start_token`), a start token before and an end token after each. With document
    masks no token attends to another text. Nothing is truncated and only the last example has
    padding. `lmzoo.data.causal_lm` does the same to files of any size, with more options.
    """

    batch_size = 8

    @takes_options(FitOptions)
    def fit(self, x=None, y=None, batch_size=None, *, options, sequence_length=None, **kwargs):
        """Trains as `keras.Model.fit`, on raw text as well as on token batches.

        Args:
            x: texts (list of str, an array of strings, tf.data.Dataset of strings, Rows), files
                (pathlib.Path or a list of them), or token batches as `lmzoo.data.causal_lm` gives
                them.
            y: None with texts.
            batch_size: int or None. Examples, not texts. None for 8 with texts.
            sample_weight: None with texts.
            validation_data: as `x`, or `(x, y)` of token batches.
            validation_split: float in [0, 1). The share of the tokens to hold out, in whole texts,
                if there is no `validation_data`.
            validation_batch_size: int or None. None for `batch_size`.
            shuffle: bool. With texts: whether each epoch has the examples in another order.
            initial_epoch: int. It also selects the order of the examples.
            sequence_length: int or None. T, the length of an example of texts. None for the
                length of the context, but at most 1,024.
            **kwargs: as for `keras.Model.fit`.
        Returns:
            keras.callbacks.History.
        Raises:
            TypeError: if texts have another type, or labels or weights come with them.
            ValueError: if there is no text or no tokenizer, or a number is out of its range.
        """
        if holds_texts(x):
            class_weight = kwargs.get("class_weight")
            _check_alone(y=y, sample_weight=options.sample_weight, class_weight=class_weight)
            has_split = bool(options.validation_split) and options.validation_data is None
            examples = self._pack(
                x,
                batch_size,
                sequence_length,
                shuffle=options.shuffle,
                validation_split=options.validation_split if has_split else None,
                validation_batch_size=options.validation_batch_size,
            )
            if has_split:
                examples, held_out = examples
                options.validation_data = held_out.dataset()
            options.validation_split = 0.0
            x, batch_size = examples.dataset(options.initial_epoch), None
        options.validation_data = self._pack_validation(
            options.validation_data, options.validation_batch_size or batch_size, sequence_length
        )
        if isinstance(x, tf.data.Dataset):
            options.shuffle = False
        return super().fit(x, y, batch_size, **vars(options), **kwargs)

    def evaluate(
        self, x=None, y=None, batch_size=None, *, sample_weight=None, sequence_length=None, **kwargs
    ):
        """Evaluates as `keras.Model.evaluate`, on raw text as well; see `fit`."""
        if holds_texts(x):
            _check_alone(y=y, sample_weight=sample_weight)
            x = self._pack(x, batch_size, sequence_length, shuffle=False).dataset()
            batch_size = None
        return super().evaluate(x, y, batch_size, sample_weight=sample_weight, **kwargs)

    def predict(self, x, batch_size=None, **kwargs):
        """Predicts as `keras.Model.predict`, on raw text as well, one row for each text.

        Returns:
            Logits, float array (B, T, V); T is the longest text. Position i has the logits of the
            token after token i, and a text shorter than T is padded on the right. Where batches
            of token batches differ in their length T, a tf.RaggedTensor.
        Raises:
            ValueError: if a text is longer than the context, or there is no tokenizer.
        """
        x = self._encode_rows(x) if holds_texts(x) else x
        return super().predict(x, batch_size, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, **kwargs):
        """One step as `keras.Model.train_on_batch`; texts are packed into one batch."""
        if not self.compiled:
            self.compile()
        if holds_texts(x):
            _check_alone(y=y, sample_weight=sample_weight, class_weight=class_weight)
            x, y, sample_weight = self.preprocess(x)
        return super().train_on_batch(x, y, sample_weight, class_weight, **kwargs)

    def test_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """As `keras.Model.test_on_batch`; texts are packed into one batch."""
        if not self.compiled:
            self.compile()
        if holds_texts(x):
            _check_alone(y=y, sample_weight=sample_weight)
            x, y, sample_weight = self.preprocess(x)
        return super().test_on_batch(x, y, sample_weight, **kwargs)

    def predict_on_batch(self, x):
        """As `keras.Model.predict_on_batch`; each text is a row, see `predict`."""
        return super().predict_on_batch(self._encode_rows(x) if holds_texts(x) else x)

    def preprocess(self, x, sequence_length=None):
        """Packs texts into one token batch, for a training loop of your own.

        Args:
            x: texts or files, as for `fit`.
            sequence_length: int or None. As for `fit`.
        Returns:
            (inputs, labels, sample_weight): a dict of `token_ids` int32 (B, T), `padding_mask` bool
            (B, T) and `document_ids` int32 (B, T); int32 (B, T); float32 (B, T), 0 on padding. B is
            the number of examples that hold all tokens.
        Raises:
            TypeError, ValueError: as `fit`.
        """
        examples = self._pack(x, 1, sequence_length, shuffle=False)
        examples.batch_size = examples.num_examples
        return examples.batch(0, 0)

    def _pack(self, texts, batch_size, sequence_length, **options):
        check_tokenizer(self.tokenizer)
        check_size(batch_size=batch_size, sequence_length=sequence_length)
        check_size(validation_batch_size=options.get("validation_batch_size"))
        if sequence_length is None:
            sequence_length = min(self.max_sequence_length, _LONGEST_DEFAULT)
        elif sequence_length > self.max_sequence_length:
            raise ValueError(
                f"`sequence_length` must not exceed the context of {self.max_sequence_length} "
                f"tokens. Received: sequence_length={sequence_length}."
            )
        return pack_texts(
            texts, self.tokenizer, sequence_length, batch_size or self.batch_size, **options
        )

    def _pack_validation(self, data, batch_size, sequence_length):
        texts = data[0] if isinstance(data, tuple) and data else data
        if texts is None or not holds_texts(texts):
            return data
        if isinstance(data, tuple):
            names = ("x", "y", "sample_weight")[: len(data)]
            _check_alone(**dict(list(zip(names, data, strict=False))[1:]))
        return self._pack(texts, batch_size, sequence_length, shuffle=False).dataset()

    def _encode_rows(self, texts):
        """Texts as right-padded rows: a dict of arrays (B, T)."""
        check_tokenizer(self.tokenizer)
        ids = self.tokenizer.tokenize_prompts(tf.constant(list(read_texts(texts))))
        lengths = ids.row_lengths().numpy()
        if lengths.max() > self.max_sequence_length:
            raise ValueError(
                f"`x` must have texts of at most {self.max_sequence_length} tokens. Received: "
                f"{lengths.max()} tokens at index {lengths.argmax()}."
            )
        mask = np.arange(lengths.max()) < lengths[:, None]
        return {"token_ids": ids.to_tensor().numpy(), "padding_mask": mask}


def holds_texts(x):
    """Whether `x` is raw text or files and not token batches.

    Raises:
        TypeError: if it is a single str.
        ValueError: if it is an empty list.
    """
    first = x[0] if isinstance(x, list | tuple) and x else x
    return isinstance(first, pathlib.PurePath) or is_raw(x)


def _check_alone(**arguments):
    for name, value in arguments.items():
        if value is not None:
            raise TypeError(
                f"`{name}` must be None with texts, which are their own labels. Received: "
                f"{name}={value!r:.60}."
            )
