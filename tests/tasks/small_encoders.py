"""Encoders of one layer and tokenizers of few words, made once for all tests of a process."""

import functools
import string

import numpy as np

from lmzoo.models import BertBackbone
from lmzoo.tokenizers import WordPieceTokenizer
from tests.data.small_tokenizers import make_byte_pair

GOOD = ["a good film", "the good cat sat", "good good film", "a good mat"]
BAD = ["a bad film", "the bad cat ran", "bad bad film", "a bad dog"]
TEXTS, NAMES = GOOD + BAD, ["good"] * 4 + ["bad"] * 4
WORDS = "a the good bad film cat dog mat sat ran on and not very".split()


@functools.cache
def word_pieces():
    pieces = list(string.ascii_lowercase[1:]) + [f"##{x}" for x in string.ascii_lowercase]
    return WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *pieces])


@functools.cache
def byte_pairs():
    return make_byte_pair([" ".join(TEXTS * 20)], 280)


def make_encoder(tokenizer=None, seed=0, **options):
    """An encoder whose every weight is drawn anew, so that texts differ."""
    arguments = {
        "vocabulary_size": (tokenizer or word_pieces()).vocabulary_size,
        "num_layers": 1,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "max_sequence_length": 32,
        "dropout": 0.0,
    }
    backbone = BertBackbone(**{**arguments, **options})
    draw_weights(backbone, seed)
    return backbone


def draw_weights(model, seed=0):
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        shift = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(shift + 0.3 * generator.normal(size=variable.shape))
    return model


# A vocabulary of more words, for labels and topics.
MORE_WORDS = (
    "this example is about a the cat dog bird fish sat ran flew swam on mat road sky sea . red "
    "green blue round sport politics music score vote song"
).split()


@functools.cache
def make_tokenizer():
    letters = string.ascii_lowercase
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    continued = [f"##{letter}" for letter in letters]
    return WordPieceTokenizer(list(dict.fromkeys([*special, *letters, *continued, *MORE_WORDS])))


def make_wide_encoder(**options):
    """An encoder for `make_tokenizer`."""
    return make_encoder(make_tokenizer(), intermediate_dim=24, **options)
