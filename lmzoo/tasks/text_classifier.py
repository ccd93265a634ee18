"""Text classification: one label, or several, for a text or a pair of texts."""

import keras
import tensorflow as tf

from lmzoo.metrics import Accuracy
from lmzoo.runtime.predictions import TextClassification
from lmzoo.tasks.discriminative.labels import LabelSet, list_labels, to_float_rows
from lmzoo.tasks.discriminative.pooled_head import PooledHead
from lmzoo.tasks.discriminative.text_arguments import unwrap_label
from lmzoo.tasks.task import Task

__all__ = ["TextClassifier"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TextClassifier(TextClassification, PooledHead, Task):
    """Classifies texts, or pairs of texts, with one label each or with several.

    Trains on raw text: `fit(texts, labels)`. `texts` is a list of str, or a tuple of two lists for
    pairs. A label is the name or the id of a class, or one-hot. With `multi_label` it is a list of
    names, or C zeros and ones. `lmzoo.data.Rows` need the columns `text` and `label`, and may have
    `pair` and `weight`.

    The metric is `accuracy`; with sample or class weights also `weighted_accuracy`.

    Exported signatures:
        serving_default: `text` string (B,) -> `labels` string (B, C), the best first, and `scores`
            float32 (B, C).
        pairs: the same for `text` and `pair`, string (B,).
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `logits` float32 (B, C).

    Args:
        backbone: a model of `lmzoo.models`; of a `T5Backbone` the encoder.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        num_classes: int or None. C, the number of classes, at least 2; None for the length of
            `labels`.
        labels: list of str or None. The names of the classes, by id; None for "0", "1" and so on.
        multi_label: bool. If True, each class is a decision of its own (sigmoid and binary
            cross-entropy), and a text may have any number of labels. If False, it has one (softmax
            and categorical cross-entropy).
        head_activation: str or None. The activation of a dense layer between the pooled hidden
            state and the logits; None for no such layer. "auto" is None on a pooler and on a
            decoder, and "tanh" elsewhere.
        dropout: float in [0, 1) or None. The dropout rate before the logits; None for the
            backbone's.
        sequence_length: int or None. The longest input in tokens, special tokens included. Longer
            texts are truncated, with one warning that counts them. None for the backbone's
            `max_sequence_length`.
        pooling: "auto", "cls", "last", "mean" or "max". How the hidden states of the tokens become
            one vector; see `lmzoo.layers.pool`. "auto" is the pooler of a BERT that has one, "cls"
            for other encoders, "last" for decoders and "mean" for a `T5Backbone`.
        allow_special: list of str, by keyword. Special tokens that texts may contain, such as the
            entity markers "[E1]" and "[/E1]". All others are read as plain text.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T).
    Returns:
        Logits, float (B, C).
    Raises:
        TypeError: if `num_classes` is not an int, or `labels` are not str.
        ValueError: if there are fewer than two classes, `labels` and `num_classes` disagree, a
            number is out of its range, or the tokenizer has more tokens than the backbone.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.1.

    Example:
        classifier = lmzoo.tasks.TextClassifier(backbone, tokenizer, labels=["bad", "good"])
        classifier.fit(["so good", "too bad"], ["good", "bad"], epochs=3)
        classifier.classify("good")  # {"label": "good", "score": 0.93}
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    label_rule = "A classifier must have a label for each text."

    def __init__(
        self,
        backbone,
        tokenizer=None,
        num_classes=None,
        labels=None,
        multi_label=False,
        head_activation="auto",
        dropout=None,
        sequence_length=None,
        pooling="auto",
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        self.labels = LabelSet(num_classes, labels)
        self.multi_label = multi_label
        self.sequence_length = sequence_length
        self.make_head(pooling, head_activation, dropout)

    @property
    def num_outputs(self):
        """int. C, the number of classes."""
        return len(self.labels)

    @property
    def has_classes(self):
        """bool. Whether each text has exactly one class."""
        return not self.multi_label

    @property
    def prediction_kind(self):
        return "class_sets" if self.multi_label else "classes"

    # Training

    def _make_loss(self):
        if self.multi_label:
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make_metric(self):
        """A new metric of the task, without weights."""
        return Accuracy(multi_label=self.multi_label)

    def fit(self, x=None, y=None, batch_size=None, *, class_weight=None, **kwargs):
        """Trains as `TextInput.fit`; the keys of `class_weight` may be names of classes."""
        if class_weight is not None:
            if self.multi_label:
                raise ValueError(
                    "`class_weight` must be None with `multi_label`: Keras would read only the "
                    f"first label of each text. Received: {class_weight!r:.80}. Pass "
                    "`sample_weight`."
                )
            class_weight = {self.labels.to_id(name): class_weight[name] for name in class_weight}
        return super().fit(x, y, batch_size, class_weight=class_weight, **kwargs)

    def read_label(self, label):
        """The id of a text's label; with `multi_label` its zeros and ones, a list of C floats."""
        if not self.multi_label:
            return self.labels.to_id(unwrap_label(label))
        if not isinstance(label, list):
            raise TypeError(
                "The labels of a text must be a list where `multi_label` is True. "
                f"Received: {label!r:.60}."
            )
        if label and all(isinstance(item, int | float) for item in label):
            if len(label) != len(self.labels) or set(label) - {0, 1}:
                raise ValueError(
                    f"The labels of a text must be names, or {len(self.labels)} zeros and ones. "
                    f"Received: {label!r:.60}."
                )
            return [float(item) for item in label]
        ids = {self.labels.to_id(name) for name in label}
        return [float(index in ids) for index in range(len(self.labels))]

    def encode_labels(self, labels):
        """In the graph: ids int32 (B,), or with `multi_label` zeros and ones, float32 (B, C)."""
        if self.multi_label:
            return self._to_multi_hot(labels)
        if labels.shape.rank == 2 and labels.shape[-1] == 1:
            # (B, 1) -> (B,)
            labels = tf.squeeze(labels, -1)
        if labels.shape.rank == 2 and labels.dtype != tf.string:
            labels = self._from_one_hot(to_float_rows(labels, len(self.labels)))
        if labels.shape.rank != 1:
            raise ValueError(
                "A text must have one label where `multi_label` is False. Received: labels of "
                f"shape {labels.shape}."
            )
        return self.labels.to_ids(labels)

    def _from_one_hot(self, labels):
        """float32 (B, C) -> int32 (B,)."""
        is_one_hot = (tf.reduce_sum(labels, 1) == 1) & (tf.reduce_max(labels, 1) == 1)
        message = "A label must be a name, an id or a row with a single 1. Received:"
        check = tf.debugging.Assert(tf.reduce_all(is_one_hot), [message, labels])
        with tf.control_dependencies([check]):
            return tf.argmax(labels, axis=1, output_type=tf.int32)

    def _to_multi_hot(self, labels):
        """Zeros and ones, float32 (B, C). A dataset may hold names instead, string (B, None)."""
        if labels.dtype != tf.string:
            labels = to_float_rows(labels, len(self.labels))
            message = "The labels of a text must be names, or zeros and ones. Received:"
            known = tf.reduce_all((labels == 0) | (labels == 1))
            with tf.control_dependencies([tf.debugging.Assert(known, [message, labels])]):
                return tf.identity(labels)
        ids = self.labels.to_ids(labels)
        if isinstance(ids, tf.RaggedTensor):
            found = ids.with_flat_values(tf.one_hot(ids.flat_values, len(self.labels)))
        else:
            found = tf.one_hot(ids, len(self.labels))
        # (B, None, C) -> (B, C). Not a maximum, which is minus infinity for a row without labels.
        return tf.minimum(tf.reduce_sum(found, axis=1), 1.0)

    # Prediction

    def rank_labels(self, columns, batch_size):
        """See `TextClassification`."""
        graph = self.get_predict_function(len(columns))
        return list(map(list_labels, self.run_graph(graph, columns, batch_size)))

    def predict_batch(self, *texts):
        """In the graph: one batch of texts or two, string (B,), to labels and scores (B, C)."""
        inputs, is_truncated = self.pack_texts(*texts)
        logits = tf.cast(self(inputs, training=False), tf.float32)
        scores = tf.sigmoid(logits) if self.multi_label else tf.nn.softmax(logits)
        scores, order = tf.math.top_k(scores, len(self.labels))
        names = tf.gather(tf.constant(self.labels.names), order)
        return {"labels": names, "scores": scores, "is_truncated": is_truncated}

    def get_config(self):
        return {
            **super().get_config(),
            "labels": list(self.labels.names),
            "multi_label": self.multi_label,
        }
