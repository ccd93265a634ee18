"""Tiny tasks of the BERT family, whose every weight is drawn anew so that their answers vary."""

import functools

import numpy as np

from lmzoo.models import BertBackbone
from lmzoo.tokenizers import WordPieceTokenizer
from tests.data.small_tokenizers import make_byte_pair

TEXT = (
    "EU rejects German call to boycott British lamb. Peter Blackburn wrote to Ada Lovelace in "
    "Paris; (nobody) read it. 我喜欢编程。 The naïve café said: don't! "
)


@functools.cache
def train_tokenizer(kind):
    if kind == "word_piece":
        return WordPieceTokenizer.train(iter([TEXT] * 9), 160)
    return make_byte_pair([TEXT] * 9, 380, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))


def make_backbone(tokenizer, seed=0, scale=0.3, **options):
    """A backbone of random weights; with `scale` 0, those it begins with."""
    arguments = {
        "vocabulary_size": tokenizer.vocabulary_size,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "max_sequence_length": 64,
        "dropout": 0.0,
    }
    if tokenizer.num_separators == 2:
        arguments |= {"num_segments": 1, "position_offset": 2}
    backbone = BertBackbone(**{**arguments, **options})
    if scale:
        randomise(backbone, seed, scale)
    return backbone


def randomise(model, seed=0, scale=0.3):
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shift = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(shift + scale * generator.normal(size=variable.shape))
    return model
