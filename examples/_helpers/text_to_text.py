"""What the text-to-text examples share: small T5s, fresh or pretrained, and their outputs."""

import pathlib

import lmzoo
from _helpers.common import open_model


def add_backbone(parser):
    """The argument for a pretrained T5."""
    parser.add_argument(
        "--backbone", type=pathlib.Path, metavar="FOLDER", help="begin with that pretrained model"
    )


def train_sentence_piece(texts, smoke=False):
    """Trains a SentencePiece tokenizer with sentinels, as T5 has them."""
    size = 500 if smoke else 4000
    return lmzoo.tokenizers.SentencePieceTokenizer.train(iter(texts), size, num_sentinels=32)


def make_t5(tokenizer, smoke=False, folder=None, **sizes):
    """A backbone and its tokenizer: a fresh T5, small enough for two cores, or a pretrained one.

    Args:
        tokenizer: function without arguments that makes the tokenizer of a fresh T5.
        smoke: bool. Whether the fresh model is a tiny one.
        folder: pathlib.Path or None. What `pretrain_t5.py --folder` wrote.
        **sizes: arguments of `T5Backbone` for a fresh T5 that is not tiny.
    """
    if folder is not None:
        task = open_model(folder)
        return task.backbone, task.tokenizer
    tokenizer = tokenizer()
    sizes = {"num_layers": 2, "num_heads": 8, "hidden_dim": 128, "intermediate_dim": 256} | sizes
    if smoke:
        sizes |= {"num_layers": 1, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 32}
    backbone = lmzoo.models.T5Backbone(
        tokenizer.vocabulary_size,
        head_dim=sizes["hidden_dim"] // sizes["num_heads"],
        max_sequence_length=128,
        **{"dropout": 0.0, **sizes},
    )
    return backbone, tokenizer


def compile_as_published(lm):
    """Compiles a T5 with Adafactor, as it was published; its steps are relative to the weights.

    A fresh T5's embeddings are about ten times larger than its other weights. An optimizer with
    steps of one size hardly changes them.
    """
    import keras

    # `train` sets the rate of each step.
    lm.compile(optimizer=keras.optimizers.Adafactor())
    return lm


def generate_texts(lm, sources, max_new_tokens, batch_size=128):
    """Greedy output for each source: list of str."""
    texts = []
    for start in range(0, len(sources), batch_size):
        batch = sources[start : start + batch_size]
        texts += lm.generate(batch, max_new_tokens=max_new_tokens)
    return texts


def find_tokens_before(source, labels, sentinels):
    """The token before each token of a target in the uncorrupted text: int (B, T)."""
    import numpy as np

    before = np.pad(labels[:, :-1], [(0, 0), (1, 0)])
    for row, column in np.argwhere(np.isin(before, sentinels)):
        position = np.flatnonzero(source[row] == before[row, column])[0]
        before[row, column] = source[row, position - 1]
    return before
