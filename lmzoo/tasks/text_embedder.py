"""Text embeddings: vectors whose cosine is the similarity of two texts."""

import keras
import tensorflow as tf

from lmzoo.layers import pool
from lmzoo.layers.checks import check_choice, check_positive, check_size
from lmzoo.layers.heads import check_pooling
from lmzoo.layers.tensors import at_least_float32
from lmzoo.metrics import Accuracy, PearsonCorrelation, SpearmanCorrelation
from lmzoo.runtime.predictions import TextEmbedding
from lmzoo.tasks.discriminative.text_arguments import ints_to_floats, unwrap_label
from lmzoo.tasks.discriminative.text_input import Example, TextInput
from lmzoo.tasks.losses import SimilarityLoss, compute_similarities, rank_candidates
from lmzoo.tasks.task import Task

__all__ = ["TextEmbedder"]

_ACTIVATIONS = ("linear", "tanh", "relu", "gelu", "silu", "sigmoid")
_RANGE_RULE = "A similarity must be a cosine, from -1 to 1."
_RANGE_REMEDY = "Divide the labels by the highest one."


@keras.saving.register_keras_serializable(package="lmzoo")
class TextEmbedder(TextEmbedding, TextInput, Task):
    """Embeds texts as vectors, for search, comparison and clustering.

    Trains in one of two ways, depending on the data:
    - In-batch contrastive cross-entropy, `fit((anchors, positives))`. Each anchor is to pick its
      own positive among all positives of the batch. With `fit((anchors, positives, negatives))`
      the negatives of the batch are candidates too. Larger batches are harder and teach more. No
      text should be another anchor's positive in the same batch. Under a tf.distribute strategy
      the candidates are those of one replica. The metric is `accuracy`.
    - Squared error on cosine similarity, `fit((first, second), similarities)`, with similarities
      from -1 to 1. The metric is `pearson`, Pearson's correlation with the labels; `evaluate` and
      validation also have `spearman`, over up to 16384 pairs a replica.

    `lmzoo.data.Rows` have the columns `text`, `pair` and, optionally, either `negative` or `label`
    and `weight`.

    Exported signatures:
        serving_default: `text` string (B,) -> `embedding` float32 (B, D).
        tokens: `token_ids`, `padding_mask` and, for a backbone with segments, `segment_ids` ->
            `embedding` float32 (B, D).

    Args:
        backbone: a model of `lmzoo.models`; of a `T5Backbone` the encoder. A pooler is not used.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None to work on ids.
        pooling: "mean", "cls", "last" or "max". How the hidden states of all tokens, special ones
            too, become one vector; see `lmzoo.layers.pool`. Decoders are trained for "last" or
            "mean".
        normalize: bool. If True, vectors have length 1, so that their dot product is their cosine.
        scale: float. The factor on cosines before the softmax of the contrastive loss, which is the
            inverse of its temperature.
        sequence_length: int or None. The longest input in tokens, special tokens included. Longer
            texts are truncated, with one warning that counts them. None for the backbone's
            `max_sequence_length`.
        projection_dim: int or None. If given, a dense layer of this width follows the pooling, as
            the Dense module of sentence-transformers does. None for vectors of the hidden size.
        projection_activation: "linear", "tanh", "relu", "gelu", "silu" or "sigmoid". The dense
            layer's.
        projection_bias: bool. Whether the dense layer has a bias.
        allow_special: list of str, by keyword. Special tokens that texts may contain, such as the
            entity markers "[E1]" and "[/E1]". All others are read as plain text.
    Call arguments:
        inputs: dict with `token_ids` int (B, T) and, optionally, `padding_mask` bool (B, T) and
            `segment_ids` int (B, T). Or all of them (B, G, T), with the G texts of an example side
            by side: anchor, positive, negatives.
    Returns:
        float (B, D) or (B, G, D), at least float32.
    Raises:
        ValueError: if `pooling` is unknown, a number is out of its range, or the tokenizer has
            more tokens than the backbone.
    Reference: Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084; Henderson et al. 2017,
        https://arxiv.org/abs/1705.00652, section 4.4.

    Example:
        embedder = lmzoo.tasks.TextEmbedder(backbone, tokenizer)
        embedder.fit((questions, answers), epochs=3)
        embedder.embed(["How far is the moon?"])  # float32 array (1, D)
    """

    _optimizer_arguments = {"learning_rate": 5e-5, "weight_decay": 0.01}
    uses_pooler = False
    prediction_kind = "embeddings"
    text_columns = ("text", "pair", "negative")
    output_name = "embedding"

    def __init__(
        self,
        backbone,
        tokenizer=None,
        pooling="mean",
        normalize=True,
        scale=20.0,
        sequence_length=None,
        projection_dim=None,
        projection_activation="tanh",
        projection_bias=True,
        **kwargs,
    ):
        super().__init__(backbone, tokenizer, **kwargs)
        check_pooling(pooling)
        check_positive(scale=scale)
        check_size(projection_dim=projection_dim)
        check_choice(_ACTIVATIONS, projection_activation=projection_activation)
        self.pooling = pooling
        self.normalize = normalize
        self.scale = scale
        self.sequence_length = sequence_length
        self.projection_dim = projection_dim
        self.projection_activation = projection_activation
        self.projection_bias = projection_bias
        if projection_dim is not None:
            self.head = keras.layers.Dense(
                projection_dim,
                projection_activation,
                use_bias=projection_bias,
                dtype=backbone.dtype_policy,
                name="head",
            )
            self.head.build((None, backbone.hidden_dim))
        self.accuracy = Accuracy()
        self.pearson = PearsonCorrelation(name="pearson")
        self.spearman = SpearmanCorrelation(name="spearman")

    def call(self, inputs, training=None):
        shape = tf.shape(inputs["token_ids"])
        if len(inputs["token_ids"].shape) == 3:
            # (B, G, T) -> (B * G, T)
            inputs = {name: tf.reshape(inputs[name], [-1, shape[-1]]) for name in inputs}
        hidden = self.backbone.compute_hidden(inputs, training)
        padding_mask = inputs.get("padding_mask")
        embeddings = pool(at_least_float32(hidden), padding_mask, self.pooling)
        if self.head is not None:
            embeddings = at_least_float32(self.head(embeddings))
        if self.normalize:
            embeddings = tf.math.l2_normalize(embeddings, axis=-1)
        return tf.reshape(embeddings, tf.concat([shape[:-1], [self.embedding_dim]], 0))

    def compute_output_shape(self, input_shape):
        return (*input_shape["token_ids"][:-1], self.embedding_dim)

    @property
    def embedding_dim(self):
        """int. D, the width of the vectors."""
        return self.projection_dim or self.backbone.hidden_dim

    # Training: with labels on similarities, without labels contrastively.

    def _make_loss(self):
        return SimilarityLoss()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels, scores = self._compare(y, y_pred)
        if y is not None and not training:
            # It sorts all pairs so far, which costs too much in each training step.
            self.spearman.update_state(labels, scores, sample_weight)
        return super().compute_loss(x, labels, scores, sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        labels, scores = self._compare(y, y_pred)
        if y is None:
            # One candidate more that never wins: a replica without rows has no other.
            scores_of_all = tf.pad(scores, [[0, 0], [0, 1]], constant_values=scores.dtype.min)
            self.accuracy.update_state(labels, scores_of_all, sample_weight)
        else:
            self.pearson.update_state(labels, scores, sample_weight)
        logs = super().compute_metrics(x, labels, scores, sample_weight)
        others = ("pearson", "spearman") if y is None else ("accuracy",)
        return {name: logs[name] for name in logs if name not in others}

    def train_step(self, data):
        logs = super().train_step(data)
        logs.pop("spearman", None)
        return logs

    def _compare(self, similarities, embeddings):
        """Labels and predictions, as `SimilarityLoss` takes them."""
        if len(embeddings.shape) != 3:
            raise ValueError(
                "Training must have the texts of an example together, (B, G, T). Received: "
                f"embeddings of shape {tuple(embeddings.shape)}."
            )
        if similarities is None:
            return rank_candidates(embeddings, self.scale)
        if embeddings.shape[1] not in (2, None):
            raise ValueError(
                "A similarity must be that of two texts. Received: examples of "
                f"{embeddings.shape[1]} texts."
            )
        return tf.reshape(similarities, [-1]), compute_similarities(embeddings)

    # Text to batches

    def to_columns(self, x, y=None, sample_weight=None):
        return super().to_columns(x, ints_to_floats(y), sample_weight)

    def label_rows(self, rows):
        _check_columns(rows.columns)
        if "label" not in rows.columns:
            return rows
        rows = rows.with_column("label", lambda row: _read_similarity(unwrap_label(row["label"])))
        # Each label is read once before training begins, not when its batch comes after hours.
        for _ in rows:
            pass
        return rows

    def encode_inputs(self, columns):
        texts = [columns[name] for name in self.text_columns if name in columns]
        if len(texts) == 1:
            return self.pack_texts(texts[0])
        # (B,) of each column -> (B, G) -> (B * G,)
        inputs, is_truncated = self.pack_texts(tf.reshape(tf.stack(texts, axis=1), [-1]))
        shape = [tf.shape(texts[0])[0], len(texts), tf.shape(inputs["token_ids"])[1]]
        return {name: tf.reshape(inputs[name], shape) for name in inputs}, is_truncated

    def encode(self, columns, seed):
        _check_columns(columns)
        labels = columns.get("label")
        if labels is not None:
            if labels.dtype == tf.string:
                raise TypeError(
                    "A similarity must be a number. Received: dtype=string. The pairs of a dataset "
                    "without similarities are batches of ((texts, pairs),)."
                )
            labels = _check_similarities(tf.cast(labels, tf.float32))
        inputs, is_truncated = self.encode_inputs(columns)
        return Example(inputs, labels, columns.get("weight"), is_truncated)

    # Prediction

    def embed_texts(self, texts, batch_size):
        """See `TextEmbedding`."""
        graph = self.get_text_function("embed", self._embed)
        return [result["embedding"] for result in self.run_graph(graph, [texts], batch_size)]

    def _embed(self, text):
        inputs, is_truncated = self.pack_texts(text)
        return {
            "embedding": tf.cast(self(inputs, training=False), tf.float32),
            "is_truncated": is_truncated,
        }

    def text_functions(self):
        return {"serving_default": self.get_text_function("embed", self._embed, served=True)}

    def get_config(self):
        names = "pooling normalize scale projection_dim projection_activation projection_bias"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "sequence_length": self._sequence_length,
        }


def _check_columns(columns):
    """Refuses columns that an embedder cannot train on."""
    rule = None
    if "text" not in columns or "pair" not in columns:
        rule = "An embedder must have a pair for each text, `fit((texts, pairs))`."
    elif "label" in columns and "negative" in columns:
        rule = "Pairs must have labels or negatives, not both."
    elif "weight" in columns and "label" not in columns:
        rule = "Weights must come with labels: the contrastive loss has none."
    if rule is not None:
        raise ValueError(f"{rule} Received: columns {', '.join(columns)}.")


def _read_similarity(label):
    if isinstance(label, bool) or not isinstance(label, int | float):
        raise TypeError(
            f"A similarity must be a number. Received: {label!r:.60}. Pairs go in as one tuple, "
            "`fit((texts, pairs))`."
        )
    if not -1 <= label <= 1:
        raise ValueError(f"{_RANGE_RULE} Received: {label}. {_RANGE_REMEDY}")
    return float(label)


def _check_similarities(labels):
    """In the graph: as `_read_similarity`, of a batch of floats."""
    is_right = tf.reduce_all(tf.abs(labels) <= 1)
    message = [f"{_RANGE_RULE} {_RANGE_REMEDY} Received:", labels]
    with tf.control_dependencies([tf.debugging.Assert(is_right, message)]):
        return tf.identity(labels)
