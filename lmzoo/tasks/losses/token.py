"""The loss of models that write: cross-entropy over tokens."""

import math
import numbers

import keras
from keras import ops

__all__ = ["TokenCrossentropy"]


@keras.saving.register_keras_serializable(package="lmzoo")
class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of the next token, averaged over the tokens that count.

    Args:
        label_smoothing: float in [0, 1). The share of the target that is spread evenly over the
            vocabulary.
        z_loss: float, at least 0. Weighs the square of the log of the softmax's denominator, which
            keeps logits from drifting away; T5 was trained with 1e-4.
        name: str.
    Raises:
        TypeError: if a number is none.
        ValueError: if one is out of its range.
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
        """Labels int (B, T) and logits float (B, T, V) to losses (B, T)."""
        # Refuses labels that are none; a gather would count -100 from the end of the vocabulary.
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
