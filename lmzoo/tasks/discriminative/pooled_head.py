"""What classifiers and regressors of whole texts share: one vector per text, and a head on it."""

import keras

from lmzoo.layers import ClassificationHead, pool
from lmzoo.layers.heads import check_pooling
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

    def make_head(self, pooling, head_activation, dropout):
        """Sets `head`, built, and the options it was made with.

        Args:
            pooling: str. "auto" is the pooler of a backbone that has one, or else what suits it.
            head_activation: str or None. "auto" is that of the backbone's `head_options` or else
                "tanh" for an encoder without a pooler, which is such a layer itself, and None for a
                decoder.
            dropout: float or None. None for the backbone's.
        """
        backbone = self.backbone
        if pooling != "auto":
            check_pooling(pooling)
        self.pooling = pooling
        self.uses_pooler = backbone.pooler and pooling == "auto"
        self.head_activation = head_activation
        self.dropout = dropout
        options = dict(backbone.head_options)
        usual = options.pop("hidden_activation", "tanh")
        if head_activation == "auto":
            is_plain = self.uses_pooler or backbone.kind == "decoder"
            head_activation = None if is_plain else usual
        if head_activation is None:
            options.clear()
        self.head = ClassificationHead(
            self.num_outputs,
            head_activation,
            backbone.dropout if dropout is None else dropout,
            keras.initializers.TruncatedNormal(stddev=backbone.initializer_range or 0.02),
            # As transformers has it, so that what is trained here opens there.
            use_bias=backbone.kind != "decoder",
            **options,
            dtype=backbone.dtype_policy,
            name="head",
        )
        self.head.build((None, backbone.hidden_dim))

    def call(self, inputs, training=None):
        if self.uses_pooler:
            pooled = self.backbone(inputs, training=training)["pooled_output"]
        else:
            hidden = self.backbone.compute_hidden(inputs, training)
            pooling = self.backbone.default_pooling if self.pooling == "auto" else self.pooling
            # (B, T, D) -> (B, D)
            pooled = pool(hidden, inputs.get("padding_mask"), pooling)
        return self.head(pooled, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape["token_ids"][0], self.num_outputs)

    def _make_unweighted_metrics(self):
        return [self.make_metric()]

    def _make_metrics(self):
        metric = self.make_metric()
        return [
            type(metric).from_config({**metric.get_config(), "name": f"weighted_{metric.name}"})
        ]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        if sample_weight is None and self._metrics_are_auto:
            # It would repeat the unweighted one.
            return {name: logs[name] for name in logs if not name.startswith("weighted_")}
        return logs

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

    def text_functions(self):
        return {
            name: self.get_predict_function(num_texts, served=True)
            for name, num_texts in (("serving_default", 1), ("pairs", 2))
        }

    def get_predict_function(self, num_texts, served=False):
        """A traced `predict_batch` of texts, or of pairs of texts."""
        return self.get_text_function("predict", self.predict_batch, num_texts, served=served)

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "head_activation": self.head_activation,
            "dropout": self.dropout,
            "sequence_length": self._sequence_length,
        }
