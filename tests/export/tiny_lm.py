"""A language model that is small enough for every test."""

import numpy as np

import lmzoo

CONTEXT = 32
TEXT = "a cat sat on the mat and that hat, then the rat ate the cat's other hat on the mat. "


def make_task(tokenizer, seed=0):
    backbone = lmzoo.models.GPTBackbone(
        285, num_layers=1, num_heads=2, hidden_dim=16, max_sequence_length=CONTEXT
    )
    generator = np.random.default_rng(seed)
    for variable in backbone.weights:
        variable.assign(generator.normal(size=variable.shape) * 0.4)
    return lmzoo.tasks.CausalLM(backbone, tokenizer)
