"""What pairs of texts teach: to find each other, or to be as alike as somebody said."""

import keras
import tensorflow as tf
from keras import ops

__all__ = ["SimilarityLoss", "compute_similarities", "rank_candidates"]


@keras.saving.register_keras_serializable(package="lmzoo")
class SimilarityLoss(keras.losses.Loss):
    """How far similarities are from the right ones.

    Predictions are logits float (B, M), one for each candidate, and labels the number of the right
    one, int (B,): then it is the cross-entropy. Or predictions are cosines float (B,), and labels
    the wanted ones, float (B,): then it is the squared error.

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
        # A replica may get no row at all of a last batch, for which Keras's own function raises.
        right = tf.gather(y_pred, labels, batch_dims=1)
        return ops.logsumexp(y_pred, axis=-1) - right


def rank_candidates(embeddings, scale):
    """Scores all other texts of a batch for each anchor.

    Args:
        embeddings: float (B, G, D). Anchor, positive and perhaps negatives of each example.
        scale: float. What a cosine is multiplied by.
    Returns:
        labels: int32 (B,). The candidate that is the anchor's own positive.
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
