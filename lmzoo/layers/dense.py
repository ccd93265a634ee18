"""A dense layer whose matrix product has another form in decoding steps that XLA compiles."""

import keras
from keras import ops

from lmzoo.layers.contexts import is_compiled_step

__all__ = ["Dense"]


@keras.saving.register_keras_serializable(package="lmzoo")
class Dense(keras.layers.Dense):
    """Keras's dense layer, with its product computed in two halves in `compiled_step`.

    Not in half precision, where each half would be rounded.

    Attributes:
        quantized_kernel: `lmzoo.layers.quantized.QuantizedMatrix` (U, D) in place of the kernel, or
            None.
    """

    quantized_kernel = None

    def call(self, inputs, training=None):
        if self.quantized_kernel is not None:
            return self._finish(self.quantized_kernel.multiply(inputs))
        size = inputs.shape[-1]
        is_plain = len(inputs.shape) == 2 and size % 2 == 0
        if not (is_compiled_step() and is_plain and self.compute_dtype in ("float32", "float64")):
            return super().call(inputs, training=training)
        # (R, D) -> (R, 2, D / 2) -> (2, R, D / 2)
        halves = ops.transpose(ops.reshape(inputs, (-1, 2, size // 2)), (1, 0, 2))
        kernels = ops.reshape(self.kernel, (2, size // 2, self.units))
        # (2, R, D / 2), (2, D / 2, U) -> (2, R, U) -> (R, U)
        return self._finish(ops.sum(ops.matmul(halves, kernels), axis=0))

    def _finish(self, outputs):
        """Bias and activation of the products (R, U)."""
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def save_own_variables(self, store):
        if self.quantized_kernel is not None:
            self.quantized_kernel.refuse_saving(self)
        super().save_own_variables(store)

    def quantize(self, mode=None, **options):
        # Keras refuses to quantize a subclass of its dense layer unless told not to check.
        return super().quantize(mode, **{**options, "type_check": False})
