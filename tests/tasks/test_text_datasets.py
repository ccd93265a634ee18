"""What is text and what is tokens."""

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.tasks.text_datasets import holds_text

TOKENS = {"encoder_token_ids": np.zeros((2, 3), "int32")}


@pytest.mark.parametrize(
    "x",
    [["a"], ("a", "b"), np.array(["a"]), np.array([b"a"]), np.array(["a"], object)]
    + [tf.constant(["a"]), {"source": ["a"]}, tf.data.Dataset.from_tensor_slices(["a"])],
    ids=str,
)
def test_text_is_text(x):
    assert holds_text(x)


@pytest.mark.parametrize(
    "x",
    [TOKENS, [[1, 2]], np.zeros((2, 3), "int32"), tf.zeros([2, 3], tf.int32)]
    + [{"a": tf.zeros([2, 3])}, tf.data.Dataset.from_tensors((TOKENS, np.zeros((2, 3))))],
    ids=str,
)
def test_tokens_are_no_text_under_any_name(x):
    assert not holds_text(x)
