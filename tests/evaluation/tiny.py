"""A language model of one layer, whose every weight is drawn anew so that its texts vary."""

import functools

import numpy as np

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer

CODE = "def main(argument):\n    return argument + 1\n\n\n"


@functools.cache
def train_tokenizer():
    return BytePairTokenizer.train(iter([CODE * 40, "The quick brown fox. 我喜欢编程。"]), 300)


def make_lm(**options):
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_sequence_length": 32}
    backbone = GPTBackbone(300, **{**sizes, **options})
    generator = np.random.default_rng(0)
    for variable in backbone.variables:
        shift = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(shift + 0.3 * generator.normal(size=variable.shape))
    return CausalLM(backbone, train_tokenizer())
