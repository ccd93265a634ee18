"""What the text-to-text examples share: small T5s, fresh or pretrained, and their answers."""

import pathlib

from _common import open_model

import lmzoo


def add_backbone(parser):
    """The argument for a pretrained T5."""
    parser.add_argument(
        "--backbone", type=pathlib.Path, metavar="FOLDER", help="begin with that pretrained model"
    )


def learn_pieces(texts, smoke=False):
    """A SentencePiece vocabulary of whole texts, with sentinels, as T5 has them."""
    size = 500 if smoke else 4000
    return lmzoo.tokenizers.SentencePieceTokenizer.train(iter(texts), size, num_sentinels=32)


def make_t5(tokenizer, smoke=False, folder=None, **sizes):
    """Backbone and tokenizer: a fresh T5, small enough for two cores, or a pretrained one.

    Args:
        tokenizer: function without arguments that gives the fresh one's tokenizer.
        smoke: bool. Whether the fresh model is a tiny one.
        folder: pathlib.Path or None. What `pretrain_t5.py --folder` wrote.
        **sizes: of the fresh one, as for `T5Backbone`, unless it is tiny.
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
    """Gives a T5 its own optimizer, whose steps are in proportion to the weights.

    A fresh T5's embeddings are some ten times larger than its other weights. An optimizer that
    moves all of them alike hardly moves these.
    """
    import keras

    # `train` sets the rate of each step.
    lm.compile(optimizer=keras.optimizers.Adafactor())
    return lm


def write_answers(lm, sources, max_new_tokens, batch_size=128):
    """What a model writes, greedily, for each source: list of str."""
    answers = []
    for start in range(0, len(sources), batch_size):
        batch = sources[start : start + batch_size]
        answers += lm.generate(batch, max_new_tokens=max_new_tokens)
    return answers
