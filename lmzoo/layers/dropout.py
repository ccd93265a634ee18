"""Dropout whose draws have 16 bits each."""

import keras
from keras import ops

__all__ = ["Dropout"]

# The values that a draw can have.
_DRAWS = 1 << 16


class Dropout(keras.layers.Dropout):
    """Dropout that drops values at the rate it is given in every dtype, with half the draws.

    `keras.layers.Dropout` draws a float in the dtype of its input. One in bfloat16 is a multiple of
    1/128, so that a rate of 0.01 drops 2 values of 128, and the rest is scaled for 1 of 100. Here
    each value has 16 bits of a random number, the rate is rounded to a multiple of 1/65,536, and
    the scale is that of the rounded rate. Backends other than TensorFlow draw as Keras does.

    Args:
        rate: float in [0, 1]. The share of the values that become 0.
    Call arguments:
        inputs: float tensor of any shape.
        training: bool. Without it nothing is dropped.
    Returns:
        float of the shape and dtype of `inputs`.
    Reference: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(rate, **kwargs)
        self._dropped = round(rate * _DRAWS)

    def call(self, inputs, training=False):
        if not training or self._dropped in (0, _DRAWS) or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training)
        from lmzoo.tensorflow_ops import draw_16_bits

        kept = draw_16_bits(inputs, self.seed_generator.next()) >= self._dropped
        scale = _DRAWS / (_DRAWS - self._dropped)
        return ops.where(kept, inputs * scale, ops.zeros((), inputs.dtype))
