"""A tiny Seq2SeqLM, whose every weight is drawn anew so that its answers vary."""

import numpy as np

from lmzoo.models import T5Backbone
from lmzoo.tasks import Seq2SeqLM
from lmzoo.tokenizers import BytePairTokenizer

PAIRS = [
    ("one cat", "1"),
    ("two cats", "2"),
    ("three cats and a hat", "3 + 1"),
    ("four hats", "4"),
    ("", "nothing"),
    ("a cat, a hat", "1 + 1"),
    ("naïve 猫", "猫"),
    ("no cat", "0"),
]
SOURCES, TARGETS = ([pair[side] for pair in PAIRS] for side in (0, 1))
SPECIAL = ["<pad>", "</s>"]


def make_tokenizer():
    text = " ".join(SOURCES + TARGETS)
    learned = BytePairTokenizer.train(iter([text] * 9), 290, special_tokens=SPECIAL)
    vocabulary = {learned.id_to_token(n): n for n in range(learned.vocabulary_size)}
    merges = learned._vocabulary.merges
    return BytePairTokenizer(vocabulary, merges, SPECIAL, "</s>", pad_token="<pad>")


def make_lm(tokenizer, seed=0, deviation=0.3, vocabulary_size=290, **options):
    """With a deviation of 0, the weights it begins with."""
    backbone = T5Backbone(
        vocabulary_size,
        num_layers=1,
        num_heads=2,
        hidden_dim=32,
        head_dim=12,
        intermediate_dim=48,
        max_sequence_length=24,
        num_buckets=8,
        max_distance=16,
        dropout=0.0,
    )
    generator = np.random.default_rng(seed)
    for variable in backbone.weights if deviation else ():
        shift = 1.0 if variable.path.endswith("scale") else 0.0
        variable.assign(shift + deviation * generator.normal(size=variable.shape))
    return Seq2SeqLM(backbone, tokenizer, **options)
