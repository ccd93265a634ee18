"""Matrices of 8-bit or 4-bit integers with float scales, for products and look-ups.

Only weights are integers. Inputs and sums stay float32, so that a product is off by the rounding of
the weights and by nothing else.

Shapes: U rows, which are the outputs of a product or the tokens of a table; D columns; R inputs.
"""

import math

import keras
import numpy as np
from keras import ops

from lmzoo.layers.contexts import find_floats, is_compiled_step

__all__ = [
    *("BLOCK", "MODES", "QuantizedMatrix", "quantize_rows"),
]

MODES = ("int8", "int4")
# How many 4-bit weights of a row share a scale.
BLOCK = 32
_LARGEST = {"int8": 127, "int4": 7}


def quantize_rows(matrix, mode):
    """Rounds a matrix to the nearest integers on a symmetric scale.

    Args:
        matrix: float NumPy array (U, D).
        mode: "int8", with one scale a row, or "int4", with one for each 32 numbers of a row.
    Returns:
        Integers int8 (U, D), from -127 to 127 or from -7 to 7, and scales float32, (U, 1) or
        (U, D / 32). A row or block times its scale is within half a scale of what it was.
    """
    size = matrix.shape[1] if mode == "int8" else BLOCK
    # (U, D) -> (U, D / size, size)
    blocks = matrix.reshape(len(matrix), -1, size)
    scales = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(_LARGEST[mode])
    # A row of zeros stays one.
    scales[scales == 0] = 1.0
    integers = np.rint(blocks / scales).astype(np.int8)
    return integers.reshape(matrix.shape), scales[:, :, 0]


class QuantizedMatrix:
    """A float matrix whose numbers are stored as integers with scales.

    Args:
        matrix: float NumPy array (U, D).
        mode: "int8" or "int4"; see `quantize_rows`. Two 4-bit numbers are packed in a byte: of each
            32 in a row, the first 16 in the low bits and the last 16 in the high ones.
        name: str. Of its variables.
    Attributes:
        shape: (U, D).
        integers: keras.Variable int8 (U, D), or (U, D / 2) for "int4".
        scales: keras.Variable float32 (U, 1), or (U, D / 32) for "int4".
    """

    def __init__(self, matrix, mode, name):
        integers, scales = quantize_rows(matrix, mode)
        self.shape, self.mode = matrix.shape, mode
        if mode == "int4":
            # (U, D) -> (U, D / 32, 2, 16) -> (U, D / 32, 16) -> (U, D / 2)
            low, high = np.moveaxis(integers.reshape(len(matrix), -1, 2, BLOCK // 2), 2, 0)
            integers = ((low & 15) | (high << 4)).reshape(len(matrix), -1)
        self.integers = keras.Variable(integers, dtype="int8", trainable=False, name=name)
        self.scales = keras.Variable(
            scales, dtype="float32", trainable=False, autocast=False, name=f"{name}_scales"
        )

    @property
    def variables(self):
        """list of keras.Variable."""
        return [self.integers, self.scales]

    def multiply(self, inputs):
        """Multiplies by the transposed matrix: float32 (R, D) -> (R, U)."""
        floats = find_floats(self)
        if floats is None and self.mode == "int4":
            floats = self.expand()
        if floats is not None and is_compiled_step():
            return _multiply_in_xla(inputs, floats)
        if floats is not None:
            return _multiply_outside_xla(inputs, floats)
        if is_compiled_step():
            return self._multiply_in_step(inputs)
        integers = ops.cast(self.integers, inputs.dtype)
        return _multiply_outside_xla(inputs, integers) * self.scales[:, 0]

    def _multiply_in_step(self, inputs):
        """The product with int8 in a step of a loop that XLA compiles for a CPU."""
        # XLA knows the number of rows when it compiles, and drops the other branch.
        num_rows = ops.shape(inputs)[0]
        return ops.cond(
            num_rows == 1,
            lambda: ops.broadcast_to(self._multiply_row(inputs[:1]), (num_rows, self.shape[0])),
            lambda: self._multiply_fused(inputs, self.integers),
        )

    def _multiply_fused(self, inputs, integers):
        # The scales come after the product, in which XLA can then cast the integers.
        integers = ops.cast(integers, inputs.dtype)
        return _multiply_in_xla(inputs, integers) * self.scales[:, 0]

    def _multiply_row(self, inputs):
        """The product (1, U), which reads bytes alone.

        For one row XLA casts the integers inside of the product: it reads a quarter of the bytes.
        Two things keep it from that. A cast that is the same in every step is moved out of the
        loop, which then reads floats. And XLA fuses what produces the inputs, such as a norm or an
        activation, into the product too, and computes it again for each of the U outputs.
        """
        inputs = _keep_apart(inputs)
        # It cannot know that no input is NaN; where one is, so are the scores.
        zeros = ops.zeros_like(self.integers)
        integers = ops.where(ops.isnan(inputs[0, 0]), zeros, self.integers)
        return self._multiply_fused(inputs, integers)

    def look_up(self, ids):
        """Rows of the matrix: ids int, of any shape -> float32 (*ids.shape, D)."""
        integers = ops.take(self.integers, ids, axis=0)
        return self._to_floats(integers, ops.take(self.scales, ids, axis=0))

    def expand(self):
        """The matrix as float32 (U, D)."""
        return self._to_floats(self.integers, self.scales)

    def refuse_saving(self, layer):
        """Raises ValueError: no file of Keras has a layer of such weights."""
        raise ValueError(
            "A layer with quantized weights cannot be saved. Received: a "
            f"{type(layer).__name__} in {self.mode}. Save it before it is quantized."
        )

    def _to_floats(self, integers, scales):
        """(..., D) or (..., D / 2) and (..., 1) or (..., D / 32) -> float32 (..., D)."""
        if self.mode == "int8":
            return ops.cast(integers, "float32") * scales
        shape = ops.shape(integers)[:-1]
        # (..., D / 2) -> (..., D / 32, 1, 16) -> (..., D / 32, 2, 16) -> (..., D)
        packed = ops.reshape(integers, (*shape, -1, 1, BLOCK // 2))
        # The low bits move up and back, which brings their sign; the high ones down alone. XLA
        # would write a concatenation of the two number by number.
        places = ops.convert_to_tensor([[4], [0]], "int8")
        both = ops.right_shift(ops.left_shift(packed, places), ops.convert_to_tensor(4, "int8"))
        both = ops.cast(both, "float32")
        floats = both * ops.reshape(scales, (*shape, -1, 1, 1))
        return ops.reshape(floats, (*shape, self.shape[1]))


def _multiply_outside_xla(inputs, matrix):
    """(R, D), (U, D) -> (R, U)."""
    # With some rows two to three times as fast as the product with the transposed matrix.
    return ops.transpose(ops.matmul(matrix, ops.transpose(inputs)))


def _multiply_in_xla(inputs, matrix):
    """(R, D), (U, D) -> (R, U)."""
    return ops.einsum("rd,ud->ru", inputs, matrix)


def _keep_apart(inputs):
    """The same numbers (1, D), computed before the ops that take them: XLA does not fuse a batch of
    products with its consumers."""
    size = math.gcd(inputs.shape[1], 64)
    # (1, D) -> (D / n, n, 2): beside each number a zero.
    pairs = ops.stack([inputs, ops.zeros_like(inputs)], axis=-1)
    pairs = ops.reshape(pairs, (inputs.shape[1] // size, size, 2))
    first = ops.convert_to_tensor([[[1.0], [0.0]]] * pairs.shape[0], inputs.dtype)
    return ops.reshape(ops.matmul(pairs, first), (1, inputs.shape[1]))
