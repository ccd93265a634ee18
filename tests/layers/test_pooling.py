"""Pooling against a loop over rows, with padding anywhere."""

import numpy as np
import pytest
from keras import ops

from lmzoo.layers import pool
from lmzoo.layers.heads import check_pooling, find_first

RANDOM = np.random.default_rng(13)
HIDDEN = RANDOM.normal(size=(5, 6, 4))
MASKS = np.array(
    [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0] * 6], bool
)
RULES = {
    "cls": lambda rows: rows[0],
    "last": lambda rows: rows[-1],
    "mean": lambda rows: rows.sum(axis=0) / len(rows),
    "max": lambda rows: rows.max(axis=0),
}
every_rule = pytest.mark.parametrize("pooling", RULES)


@every_rule
def test_pooling_is_the_rule_over_the_real_tokens_of_each_row(pooling):
    pooled = pool(ops.convert_to_tensor(HIDDEN), ops.convert_to_tensor(MASKS), pooling)
    expected = [RULES[pooling](row[mask]) for row, mask in zip(HIDDEN[:4], MASKS[:4], strict=True)]
    np.testing.assert_allclose(pooled[:4], expected, rtol=0, atol=1e-14)
    # Nothing is real in the last row.
    if pooling in ("mean", "max"):
        np.testing.assert_array_equal(pooled[4], np.zeros(4))


@every_rule
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_no_mask_is_a_mask_of_ones(pooling, dtype):
    # So long and so far from 0 that a sum in half precision would lose most of it.
    hidden = ops.cast(RANDOM.normal(4.0, 1.0, (2, 3000, 3)), dtype)
    plain = pool(hidden, None, pooling)
    masked = pool(hidden, ops.ones((2, 3000), "bool"), pooling)
    assert plain.dtype == masked.dtype == hidden.dtype
    plain, masked = (ops.convert_to_numpy(ops.cast(x, "float64")) for x in (plain, masked))
    np.testing.assert_array_equal(plain, masked)
    expected = RULES[pooling](ops.convert_to_numpy(ops.cast(hidden[1], "float64")))
    tolerance = {"bfloat16": 2e-2, "float16": 2e-3}.get(dtype, 1e-5)
    np.testing.assert_allclose(masked[1], expected, rtol=0, atol=tolerance)


@every_rule
def test_padding_changes_nothing(pooling):
    hidden, mask = ops.convert_to_tensor(HIDDEN), ops.convert_to_tensor(MASKS)
    plain = pool(hidden, mask, pooling)[:4]
    disturbed = ops.where(mask[:, :, None], hidden, 1e4)
    np.testing.assert_allclose(pool(disturbed, mask, pooling)[:4], plain, rtol=0, atol=1e-14)


def test_the_first_real_token_is_found():
    first = find_first(ops.convert_to_tensor(MASKS))
    assert first.dtype == "int32"
    np.testing.assert_array_equal(first, [0, 0, 2, 1, 0])


@pytest.mark.parametrize("pooling", ["sum", None, "CLS"])
def test_an_unknown_pooling_is_refused(pooling):
    for refuse in (check_pooling, lambda pooling: pool(ops.ones((1, 2, 3)), None, pooling)):
        with pytest.raises(
            ValueError, match=f"one of cls, last, mean, max. Received: pooling={pooling!r}"
        ):
            refuse(pooling)
