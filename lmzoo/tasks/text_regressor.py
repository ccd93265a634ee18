"""Giving texts, or pairs of texts, a number or several."""

import math

import keras
import numpy as np
import tensorflow as tf

from lmzoo.layers.checks import check_size
from lmzoo.metrics import PearsonCorrelation
from lmzoo.tasks.discriminative.labels import to_float_rows
from lmzoo.tasks.discriminative.pooled_head import apply_pooled_head, make_pooled_head
from lmzoo.tasks.discriminative.text_arguments import unwrap_label, widen_numbers
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.task import Task

__all__ = ["TextRegressor"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TextRegressor(TextInput, Task):
    """Gives a text a number, such as how alike two sentences are.

    Trained on `fit(texts, numbers)`, where `texts` is a list of str or a pair of lists, and each of
    `numbers` is a number, or with several targets a list of them. Rows of `lmzoo.data` have columns
    `text`, `pair` (optional), `label` and `weight` (optional). The loss is the mean squared error;
    the metric is Pearson's correlation, with several targets the mean absolute error.

    Args:
        backbone: `lmzoo.models.BertBackbone`.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        num_targets: int. How many numbers a text gets.
        head_activation: str or None. The activation of a dense layer before the numbers; "auto" has
            none on a backbone with a pooler and "tanh" elsewhere.
        dropout: float in [0, 1) or None. Before the numbers; None for the backbone's.
        sequence_length: int or None. The longest text in tokens, special ones included; longer ones
            are cut, and a warning says how many. None for what the backbone takes.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T).
    Returns:
        Numbers, float (B, num_targets).
    Raises:
        TypeError: if `num_targets` is not an int.
        ValueError: if a number is out of its range, or the tokenizer does not fit the backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.1, on STS-B.

    Example:
        regressor = lmzoo.tasks.TextRegressor(backbone, tokenizer)
        regressor.fit((["a cat", "a cat"], ["the cat", "a train"]), [4.8, 0.2], epochs=3)
        regressor.score("a cat", "one cat")  # 4.6
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}

    def __init__(
        self,
        backbone,
        tokenizer=None,
        num_targets=1,
        head_activation="auto",
        dropout=None,
        sequence_length=None,
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        check_size(num_targets=num_targets)
        self.num_targets = num_targets
        self.head_activation = head_activation
        self.dropout = dropout
        self.sequence_length = sequence_length
        self.head = make_pooled_head(backbone, num_targets, head_activation, dropout)

    def call(self, inputs, training=None):
        return apply_pooled_head(self.backbone, self.head, inputs, training)

    def compute_output_shape(self, input_shape):
        return (input_shape["token_ids"][0], self.num_targets)

    # Training

    def _make_loss(self):
        return keras.losses.MeanSquaredError()

    def _make_metrics(self):
        if self.num_targets == 1:
            return [PearsonCorrelation()]
        return [keras.metrics.MeanAbsoluteError()]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # Keras may hand out the arrays of a caller without telling their shape.
        y = tf.reshape(y, tf.shape(y_pred))
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = tf.reshape(y, tf.shape(y_pred))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def columns_of(self, x, y=None, sample_weight=None):
        return super().columns_of(x, widen_numbers(y), sample_weight)

    def label_rows(self, rows):
        if "label" not in rows.columns:
            raise ValueError(
                "A regressor must have a number for each text. Received: rows with columns "
                f"{', '.join(rows.columns)}. Pass `y`, or rows with a column `label`."
            )
        rows = rows.with_column("label", lambda row: self._read_label(row["label"]))
        # Each number is read once before training begins, not when its batch comes after hours.
        for _ in rows:
            pass
        return rows

    def _read_label(self, label):
        """A float, or with several targets a list of them."""
        if self.num_targets == 1:
            return _read_number(unwrap_label(label))
        if not isinstance(label, list) or len(label) != self.num_targets:
            raise ValueError(
                f"A label must be a list of {self.num_targets} numbers. Received: {label!r:.60}."
            )
        return [_read_number(number) for number in label]

    def encode(self, columns, seed):
        if "label" not in columns:
            raise ValueError(
                "A regressor must have a number for each text. Received: batches with columns "
                f"{', '.join(columns)}."
            )
        inputs, is_truncated = self.encode_inputs(columns)
        labels = columns["label"]
        if labels.shape.rank == 1:
            labels = tf.expand_dims(labels, 1)
        labels = to_float_rows(labels, self.num_targets)
        message = ["A label must be a finite number. Received:", labels]
        is_finite = tf.reduce_all(tf.math.is_finite(labels))
        with tf.control_dependencies([tf.debugging.Assert(is_finite, message)]):
            return Example(inputs, tf.identity(labels), columns.get("weight"), is_truncated)

    # Answers

    def score(self, texts, pairs=None, batch_size=None):
        """Gives the numbers of texts.

        Args:
            texts: str or list of str.
            pairs: what each text is compared with, in the same form, or None.
            batch_size: int or None. Texts that are computed together; None for 32.
        Returns:
            float32 array (B,), or (B, num_targets) with several targets; for one text a float, or
            an array (num_targets,).
        Raises:
            TypeError: if a text is not a str or `batch_size` not an int.
            ValueError: if the lists differ in length, `batch_size` is not positive, or there is no
                tokenizer.
        """
        columns, is_single = self.read_columns(texts, pairs)
        graph = self.get_text_function("score", self._score, len(columns))
        results = [result["scores"] for result in self.run_graph(graph, columns, batch_size)]
        scores = np.array(results, np.float32).reshape(len(results), self.num_targets)
        if self.num_targets == 1:
            scores = scores[:, 0]
        if not is_single:
            return scores
        return float(scores[0]) if self.num_targets == 1 else scores[0]

    def _score(self, *texts):
        inputs, is_truncated = self.pack_texts(*texts)
        return {
            "scores": tf.cast(self(inputs, training=False), tf.float32),
            "is_truncated": is_truncated,
        }

    def serving_functions(self):
        """What is exported.

        serving_default: `text` string (B,) -> `scores` float32 (B, num_targets).
        pairs: the same of `text` and `pair`, string (B,).
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `scores` float32 (B, num_targets).
        """
        functions = {"tokens": self.get_tokens_function("scores")}
        if self.tokenizer is not None:
            for name, num_texts in (("serving_default", 1), ("pairs", 2)):
                functions[name] = self.get_text_function(
                    "score", self._score, num_texts, served=True
                )
        return functions

    def get_config(self):
        return {
            **super().get_config(),
            "num_targets": self.num_targets,
            "head_activation": self.head_activation,
            "dropout": self.dropout,
            "sequence_length": self._sequence_length,
        }


def _read_number(number):
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"A label must be a number. Received: {number!r:.60}.")
    if not math.isfinite(number):
        raise ValueError(f"A label must be a finite number. Received: {number!r}.")
    return float(number)
