"""Text regression: one number, or several, for a text or a pair of texts."""

import keras
import tensorflow as tf

from lmzoo.layers.checks import check_size
from lmzoo.metrics import PearsonCorrelation
from lmzoo.runtime.predictions import TextRegression
from lmzoo.tasks.discriminative.labels import to_float_rows
from lmzoo.tasks.discriminative.pooled_head import PooledHead
from lmzoo.tasks.discriminative.text_arguments import ints_to_floats, to_float32, unwrap_label
from lmzoo.tasks.task import Task

__all__ = ["TextRegressor"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TextRegressor(TextRegression, PooledHead, Task):
    """Predicts numbers for texts, such as the similarity of two sentences.

    Trains on raw text: `fit(texts, targets)`. `texts` is a list of str, or a tuple of two lists for
    pairs. A target is a number, or a list of `num_targets` numbers. `lmzoo.data.Rows` need the
    columns `text` and `label`, and may have `pair` and `weight`. The loss is the mean squared
    error. The metric is Pearson's correlation, or with several targets the mean absolute error;
    with sample weights also the weighted one.

    Exported signatures:
        serving_default: `text` string (B,) -> `scores` float32 (B, num_targets).
        pairs: the same for `text` and `pair`, string (B,).
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `scores` float32 (B, num_targets).

    Args:
        backbone, tokenizer, head_activation, dropout, sequence_length, pooling, allow_special: as
            for `TextClassifier`.
        num_targets: int. The number of values to predict for each text.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T).
    Returns:
        float (B, num_targets).
    Raises:
        TypeError: if `num_targets` is not an int.
        ValueError: if a number is out of its range, or the tokenizer has more tokens than the
            backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.1, on STS-B.

    Example:
        regressor = lmzoo.tasks.TextRegressor(backbone, tokenizer)
        regressor.fit((["a cat", "a cat"], ["the cat", "a train"]), [4.8, 0.2], epochs=3)
        regressor.score("a cat", "one cat")  # 4.6
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    label_rule = "A regressor must have a number for each text."
    output_name = "scores"

    def __init__(
        self,
        backbone,
        tokenizer=None,
        num_targets=1,
        head_activation="auto",
        dropout=None,
        sequence_length=None,
        pooling="auto",
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        check_size(num_targets=num_targets)
        self.num_targets = num_targets
        self.sequence_length = sequence_length
        self.make_head(pooling, head_activation, dropout)

    @property
    def num_outputs(self):
        """int. `num_targets`."""
        return self.num_targets

    @property
    def prediction_kind(self):
        return "numbers" if self.num_targets == 1 else "number_rows"

    # Training

    def _make_loss(self):
        return keras.losses.MeanSquaredError()

    def make_metric(self):
        """A new metric of the task, without weights."""
        return PearsonCorrelation() if self.num_targets == 1 else keras.metrics.MeanAbsoluteError()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # In Keras's graph, arrays of a caller may have no static shape.
        y = tf.reshape(y, tf.shape(y_pred))
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = tf.reshape(y, tf.shape(y_pred))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def to_columns(self, x, y=None, sample_weight=None):
        return super().to_columns(x, ints_to_floats(y), sample_weight)

    def read_label(self, label):
        """A float, or with several targets a list of them."""
        if self.num_targets == 1:
            return _read_number(unwrap_label(label))
        if not isinstance(label, list) or len(label) != self.num_targets:
            raise ValueError(
                f"A label must be a list of {self.num_targets} numbers. Received: {label!r:.60}."
            )
        return [_read_number(number) for number in label]

    def encode_labels(self, labels):
        """In the graph: numbers of any shape for a batch, checked, float32 (B, num_targets)."""
        if labels.shape.rank == 1:
            labels = tf.expand_dims(labels, 1)
        labels = to_float_rows(labels, self.num_targets)
        message = ["A label must be a finite number. Received:", labels]
        is_finite = tf.reduce_all(tf.math.is_finite(labels))
        with tf.control_dependencies([tf.debugging.Assert(is_finite, message)]):
            return tf.identity(labels)

    # Prediction

    def predict_numbers(self, columns, batch_size):
        """See `TextRegression`."""
        graph = self.get_predict_function(len(columns))
        return [result["scores"] for result in self.run_graph(graph, columns, batch_size)]

    def predict_batch(self, *texts):
        """In the graph: one batch of texts or two, string (B,), to scores (B, num_targets)."""
        inputs, is_truncated = self.pack_texts(*texts)
        return {
            "scores": tf.cast(self(inputs, training=False), tf.float32),
            "is_truncated": is_truncated,
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_targets": self.num_targets,
        }


def _read_number(number):
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"A label must be a number. Received: {number!r:.60}.")
    return to_float32("A label", number)
