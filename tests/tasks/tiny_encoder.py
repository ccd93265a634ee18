"""A small encoder whose every weight is drawn anew, and its tokenizer."""

import numpy as np

from lmzoo.models import BertBackbone
from lmzoo.tokenizers import WordPieceTokenizer

WORDS = (
    "this example is about a the cat dog bird fish sat ran flew swam on mat road sky sea . red "
    "green blue round sport politics music score vote song"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = list(
    dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]
        + ["##" + letter for letter in LETTERS]
        + WORDS
    )
)


def make_tokenizer():
    return WordPieceTokenizer(VOCABULARY)


def make_encoder(seed=0, **options):
    arguments = {
        "vocabulary_size": len(VOCABULARY),
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "max_sequence_length": 32,
        "dropout": 0.0,
    }
    backbone = BertBackbone(**{**arguments, **options})
    generator = np.random.default_rng(seed)
    for variable in backbone.variables:
        shift = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(shift + 0.3 * generator.normal(size=variable.shape))
    return backbone
