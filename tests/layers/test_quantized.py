"""Quantized matrices: their integers are NumPy's, and every form of a product gives one result."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.layers.contexts import compiled_step, float_matrices
from lmzoo.layers.quantized import MODES, QuantizedMatrix, quantize_rows
from tests.rounding import round_weights

ROWS, COLUMNS = 40, 96


def draw(*shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def floats():
    matrix = draw(ROWS, COLUMNS) * np.exp(draw(ROWS, 1, seed=4))
    matrix[7] = 0
    return matrix


@pytest.fixture(scope="module", params=MODES)
def pair(request, floats):
    """A quantized matrix, and by hand what it stands for."""
    matrix = QuantizedMatrix(floats, request.param, "kernel")
    return matrix, round_weights(floats, request.param)


def test_numbers_are_rounded_to_the_nearest_on_the_scale_of_their_row_or_block(pair, floats):
    matrix, hand = pair
    np.testing.assert_allclose(matrix.expand(), hand, rtol=1e-6, atol=1e-7)
    largest = {"int8": 127, "int4": 7}[matrix.mode]
    integers, scales = quantize_rows(floats, matrix.mode)
    assert np.abs(integers).max() == largest
    half = np.repeat(scales, COLUMNS // scales.shape[1], axis=1) / 2
    assert (np.abs(hand - floats) <= half * (1 + 1e-5)).all()
    assert not hand[7].any()


def test_a_matrix_takes_one_byte_or_little_more_than_half_of_one_a_number(pair):
    matrix, _ = pair
    sizes = {"int8": ROWS * (COLUMNS + 4), "int4": ROWS * (COLUMNS / 2 + 4 * COLUMNS / 32)}
    assert sum(v.value.numpy().nbytes for v in matrix.variables) == sizes[matrix.mode]
    assert matrix.shape == (ROWS, COLUMNS)


@pytest.mark.parametrize("rows", [1, 3])
def test_every_form_of_a_product_is_that_of_the_rounded_matrix(pair, rows):
    matrix, hand = pair
    inputs = draw(rows, COLUMNS, seed=5)

    def step(x):
        with compiled_step():
            # What XLA would fuse into the product.
            return matrix.multiply(tf.tanh(x) * 2.0)

    def expanded(x):
        with float_matrices({matrix: matrix.expand()}.get):
            return matrix.multiply(tf.tanh(x) * 2.0)

    wanted = (np.tanh(inputs.astype("float64")) * 2.0) @ hand.T
    forms = [
        lambda x: matrix.multiply(tf.tanh(x) * 2.0),
        tf.function(step, jit_compile=True),
        tf.function(expanded),
    ]
    for form in forms:
        np.testing.assert_allclose(form(tf.constant(inputs)), wanted, rtol=0, atol=1e-4)


def test_a_look_up_gives_rounded_rows(pair):
    matrix, hand = pair
    ids = [[3, 0, 7], [39, 39, 1]]
    np.testing.assert_allclose(matrix.look_up(tf.constant(ids)), hand[ids], rtol=1e-6, atol=1e-7)
