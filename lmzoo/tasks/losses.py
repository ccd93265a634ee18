"""Losses of tasks, and their mean over replicas and batches."""

import math
import numbers

import keras
import tensorflow as tf
from keras import ops

__all__ = [
    "AnswerLoss",
    "LossTracker",
    "SimilarityLoss",
    "TokenCrossentropy",
    "compute_similarities",
    "count_terms",
    "rank_candidates",
    "smooth_loss",
    "sum_over_replicas",
]


@keras.saving.register_keras_serializable(package="lmzoo")
class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of tokens or classes, averaged over those that count.

    Args:
        label_smoothing: float in [0, 1). The share of the target that is spread evenly over the
            vocabulary.
        z_loss: float, at least 0. Weighs the square of the log of the softmax's denominator, which
            keeps logits from drifting away; T5 was trained with 1e-4.
        name: str.
    Raises:
        TypeError: if an argument is not a number.
        ValueError: if an argument is out of its range.
    Reference: Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7 (smoothing); de
        Brebisson and Vincent 2016, https://arxiv.org/abs/1604.08859 (z-loss).
    """

    def __init__(self, label_smoothing=0.0, z_loss=0.0, name="token_crossentropy", **kwargs):
        kwargs.setdefault("reduction", "mean_with_sample_weight")
        super().__init__(name=name, **kwargs)
        for argument, value in (("label_smoothing", label_smoothing), ("z_loss", z_loss)):
            if not isinstance(value, numbers.Real):
                raise TypeError(f"`{argument}` must be a number. Received: {argument}={value!r}.")
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). Received: "
                f"label_smoothing={label_smoothing!r}."
            )
        if not 0 <= z_loss < math.inf:
            raise ValueError(
                f"`z_loss` must be finite and at least 0. Received: z_loss={z_loss!r}."
            )
        self.label_smoothing = label_smoothing
        self.z_loss = z_loss

    def call(self, y_true, y_pred):
        """Labels int (B, T) and logits float (B, T, V) to losses (B, T); also without T."""
        # It refuses labels outside the vocabulary. A gather would read -100 from the end.
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        if not self.label_smoothing and not self.z_loss:
            return loss
        log_total = ops.logsumexp(y_pred, axis=-1)
        if self.label_smoothing:
            share = self.label_smoothing
            loss = (1 - share) * loss + share * (log_total - ops.mean(y_pred, axis=-1))
        return loss + self.z_loss * ops.square(log_total)

    def get_config(self):
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "z_loss": self.z_loss,
        }


def smooth_loss(loss, is_own, **options):
    """The loss of a task with label smoothing and z-loss, where they are given.

    Args:
        loss: the loss that the task made, or that a caller gave.
        is_own: bool. Whether the task made it.
        **options: `label_smoothing` and `z_loss` of `TokenCrossentropy`, or None.
    Raises:
        TypeError, ValueError: as `TokenCrossentropy`; ValueError also if `loss` is another one than
            a cross-entropy that the task made.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if not options:
        return loss
    kinds = TokenCrossentropy | keras.losses.SparseCategoricalCrossentropy
    if not is_own or not isinstance(loss, kinds):
        name = getattr(loss, "name", loss)
        received = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ValueError(
            "`label_smoothing` and `z_loss` must be given to a task whose own loss is a "
            f"cross-entropy over tokens or classes. Received: {received}, with the loss {name!r}."
        )
    if isinstance(loss, TokenCrossentropy):
        options = {"label_smoothing": loss.label_smoothing, "z_loss": loss.z_loss, **options}
    return TokenCrossentropy(**options, name=loss.name, reduction=loss.reduction)


@keras.saving.register_keras_serializable(package="lmzoo")
class AnswerLoss(keras.losses.Loss):
    """Cross-entropy of the start and the end of an answer, averaged over the two.

    Labels are token indices int (B, 2), predictions are logits float (B, T, 2).

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.2.
    """

    def call(self, y_true, y_pred):
        # (B, T, 2) -> (B, 2, T)
        scores = ops.transpose(y_pred, (0, 2, 1))
        losses = ops.sparse_categorical_crossentropy(y_true, scores, from_logits=True)
        return ops.mean(losses, axis=-1)


@keras.saving.register_keras_serializable(package="lmzoo")
class SimilarityLoss(keras.losses.Loss):
    """In-batch contrastive cross-entropy, or squared error on cosine similarity.

    Cross-entropy for logits float (B, M) over M candidates, with labels int (B,), the index of the
    right candidate. Squared error for cosines float (B,), with labels float (B,).

    Reference: Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4, for the first;
        Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3, for the second.
    Example:
        >>> loss = SimilarityLoss()
        >>> float(loss(np.array([1.0, 0.0]), np.array([0.5, 0.0])))
        0.125
    """

    def call(self, y_true, y_pred):
        if len(y_pred.shape) == 1:
            return ops.square(ops.reshape(y_true, (-1,)) - y_pred)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        # Keras's own function raises for a replica that gets no row of the last batch.
        right = tf.gather(y_pred, labels, batch_dims=1)
        return ops.logsumexp(y_pred, axis=-1) - right


def rank_candidates(embeddings, scale):
    """Scores each anchor against all positives and negatives of the batch.

    Args:
        embeddings: float (B, G, D). Anchor, positive and, optionally, negatives of each example.
        scale: float. The factor on cosines.
    Returns:
        labels: int32 (B,). The index of the anchor's own positive.
        logits: float (B, B * (G - 1)). All positives of the batch, then all negatives.
    """
    unit = tf.math.l2_normalize(embeddings, axis=-1)
    # (B, G - 1, D) -> (G - 1, B, D) -> (M, D)
    candidates = tf.transpose(unit[:, 1:], [1, 0, 2])
    candidates = tf.reshape(candidates, [-1, embeddings.shape[-1]])
    logits = scale * tf.matmul(unit[:, 0], candidates, transpose_b=True)
    return tf.range(tf.shape(embeddings)[0]), logits


def compute_similarities(embeddings):
    """The cosine of the two texts of each example: float (B, 2, D) -> (B,)."""
    unit = tf.math.l2_normalize(embeddings, axis=-1)
    return tf.reduce_sum(unit[:, 0] * unit[:, 1], axis=-1)


def count_terms(loss, y, sample_weight):
    """The number of terms that a loss averages over in the batch of one replica.

    Args:
        loss: the loss that the model was compiled with.
        y: labels of this replica, tensor or structure, with B rows.
        sample_weight: weights of this replica, tensor or structure, or None.
    Returns:
        float32 scalar tensor: the sum of all weights, or B for a loss that averages over rows. None
        for a loss that is not a mean.
    """
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if loss is None or reduction in ("sum", "none", None):
        return None
    if reduction != "mean_with_sample_weight":
        return tf.cast(tf.shape(tf.nest.flatten(y)[0])[0], tf.float32)
    if sample_weight is None:
        return tf.add_n([tf.cast(tf.size(labels), tf.float32) for labels in tf.nest.flatten(y)])
    return tf.add_n(
        [tf.reduce_sum(tf.cast(weight, tf.float32)) for weight in tf.nest.flatten(sample_weight)]
    )


def sum_over_replicas(value):
    """Adds up a scalar tensor over the replicas of a strategy.

    Returns:
        The sum, and R, the number of replicas; `value` and 1 outside of replicas.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value), context.num_replicas_in_sync


class LossTracker(keras.metrics.Mean):
    """The mean loss over batches, each weighted by the number of terms its loss is a mean of.

    Keras calls `update_state` with the number of rows as the weight. A `set_next_weight` before it
    replaces that weight once.

    Attributes:
        listener: callable or None. It is called with the loss of each batch, in the graph of its
            step and by the replica that has computed it.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._next_weight = None
        self.listener = None

    def set_next_weight(self, weight):
        """Sets the weight of the next value: float scalar tensor."""
        self._next_weight = weight

    def update_state(self, values, sample_weight=None):
        if self.listener is not None:
            self.listener(values)
        if self._next_weight is not None:
            # Used once: in a graph it is a tensor of this step alone.
            sample_weight, self._next_weight = self._next_weight, None
        super().update_state(values, sample_weight)
