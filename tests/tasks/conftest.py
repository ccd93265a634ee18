"""A small language model over the standard library's own text."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer

CODE = "def main(argument):\n    return argument + 1\n\n\n"
CORPUS = (CODE + "The quick brown fox. 我喜欢编程。\n") * 40


@pytest.fixture(scope="session")
def tokenizer():
    return BytePairTokenizer.train(iter([CORPUS, os.__doc__]), 400)


@pytest.fixture(scope="session")
def make_lm(tokenizer):
    """Makes a model whose every weight is drawn anew, so that its texts vary."""

    def make(seed=0, tokenizer=tokenizer, **options):
        arguments = {
            "vocabulary_size": 400,
            "num_layers": 1,
            "num_heads": 4,
            "hidden_dim": 32,
            "intermediate_dim": 48,
            "max_sequence_length": 64,
        }
        backbone = GPTBackbone(**{**arguments, **options})
        generator = np.random.default_rng(seed)
        for variable in backbone.variables:
            shift = 1.0 if variable.path.endswith("gamma") else 0.0
            variable.assign(shift + 0.3 * generator.normal(size=variable.shape))
        return CausalLM(backbone, tokenizer)

    return make


@pytest.fixture(scope="session")
def lm(make_lm):
    return make_lm()


@pytest.fixture
def batches(tokenizer):
    """20 batches of 4 x 16 tokens."""
    ids = tokenizer.tokenize(CORPUS).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(ids, 17)[:: max(1, len(ids) // 90)][:80]
    inputs = {"token_ids": windows[:, :-1], "padding_mask": np.ones((80, 16), bool)}
    return tf.data.Dataset.from_tensor_slices((inputs, windows[:, 1:])).batch(4)


@pytest.fixture(autouse=True)
def forget_policies():
    yield
    keras.config.set_dtype_policy("float32")
