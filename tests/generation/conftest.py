import pytest
import tensorflow as tf

from tests.generation import tiny
from tests.tasks.conftest import lm, make_lm, tokenizer

__all__ = ["lm", "make_lm", "tokenizer"]


@pytest.fixture(scope="session")
def model():
    return tiny.Model(tiny.make_backbone())


@pytest.fixture(scope="session")
def uncached(model):
    """ids -> logits (V,) by the whole forward pass, without cache, batch or padding."""

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32)])
    def forward(token_ids):
        return model.backbone.compute_logits(model.backbone({"token_ids": token_ids}))[0, -1]

    return lambda ids: forward(tf.constant([ids], tf.int32)).numpy()
