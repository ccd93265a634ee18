"""What classifiers and regressors of whole texts share: one vector per text, and a head on it."""

import keras

from lmzoo.layers import ClassificationHead, pool
from lmzoo.tasks.discriminative.text_input import Example, TextInput

__all__ = ["PooledHead"]


class PooledHead(TextInput):
    """A mixin: reads texts or pairs of texts, and gives each a row of `num_outputs` numbers.

    A task calls `make_head` in its `__init__`, and defines `num_outputs`, `read_label` (one row's
    label to what is trained on), `encode_labels` (the same in the graph, for a batch), and
    `predict_batch`.
    """

    # What errors call the task and its labels.
    label_rule = "There must be a label for each text."
    # The name of its output in the signature `tokens`.
    output_name = "logits"

    def make_head(self, head_activation, dropout):
        """Sets `head`, built, and the options it was made with.

        Args:
            head_activation: str or None. "auto" is None on a backbone with a pooler, which is such
                a layer itself, and "tanh" elsewhere.
            dropout: float or None. None for the backbone's.
        """
        backbone = self.backbone
        self.head_activation = head_activation
        self.dropout = dropout
        if head_activation == "auto":
            head_activation = None if backbone.pooler else "tanh"
        self.head = ClassificationHead(
            self.num_outputs,
            head_activation,
            backbone.dropout if dropout is None else dropout,
            keras.initializers.TruncatedNormal(stddev=backbone.initializer_range or 0.02),
            dtype=backbone.dtype_policy,
            name="head",
        )
        self.head.build((None, backbone.hidden_dim))

    def call(self, inputs, training=None):
        outputs = self.backbone(inputs, training=training)
        pooled = outputs.get("pooled_output")
        if pooled is None:
            # (B, T, D) -> (B, D)
            pooled = pool(outputs["sequence_output"], inputs.get("padding_mask"), "cls")
        return self.head(pooled, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape["token_ids"][0], self.num_outputs)

    def label_rows(self, rows):
        if "label" not in rows.columns:
            raise ValueError(
                f"{self.label_rule} Received: rows with columns {', '.join(rows.columns)}. "
                "Pass `y`, or rows with a column `label`."
            )
        rows = rows.with_column("label", lambda row: self.read_label(row["label"]))
        # Each label is read once before training begins, not when its batch comes after hours.
        for _ in rows:
            pass
        return rows

    def encode(self, columns, seed):
        if "label" not in columns:
            raise ValueError(
                f"{self.label_rule} Received: batches with columns {', '.join(columns)}."
            )
        inputs, is_truncated = self.encode_inputs(columns)
        labels = self.encode_labels(columns["label"])
        return Example(inputs, labels, columns.get("weight"), is_truncated)

    def serving_functions(self):
        """dict of signature to tf.function: what is exported; see the class."""
        functions = {"tokens": self.get_tokens_function(self.output_name)}
        if self.tokenizer is not None:
            for name, num_texts in (("serving_default", 1), ("pairs", 2)):
                functions[name] = self.get_predict_function(num_texts, served=True)
        return functions

    def get_predict_function(self, num_texts, served=False):
        """A traced `predict_batch` of texts, or of pairs of texts."""
        return self.get_text_function("predict", self.predict_batch, num_texts, served=served)

    def get_config(self):
        return {
            **super().get_config(),
            "head_activation": self.head_activation,
            "dropout": self.dropout,
            "sequence_length": self._sequence_length,
        }
