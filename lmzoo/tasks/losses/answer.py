"""What a model that finds answers is trained by."""

import keras
from keras import ops

__all__ = ["AnswerLoss"]


@keras.saving.register_keras_serializable(package="lmzoo")
class AnswerLoss(keras.losses.Loss):
    """The mean of two cross-entropies over the tokens: of an answer's first and of its last one.

    Labels are int (B, 2), predictions float (B, T, 2).

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 4.2.
    """

    def call(self, y_true, y_pred):
        # (B, T, 2) -> (B, 2, T)
        scores = ops.transpose(y_pred, (0, 2, 1))
        losses = ops.sparse_categorical_crossentropy(y_true, scores, from_logits=True)
        return ops.mean(losses, axis=-1)
