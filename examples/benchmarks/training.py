"""How fast lmzoo trains a model of GPT-2's size, beside KerasHub and PyTorch.

One step reads 4 x 256 random tokens: forward, cross-entropy, backward, AdamW, dropout of 0.1. All
contestants have the same optimizer but the row that says "defaults": lmzoo's own also clips the
gradients to a global norm. The contestants of one precision take turns, each framework in a process
of its own.

    python examples/benchmarks/training.py --only lmzoo,kerashub --json training.json
"""

import _common as common
import numpy as np
from _common import set_tensorflow_threads
from _workers import Contestant, open_workers

REFERENCE = ("kerashub", None)
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-4, 0.1, 0.1


def main():
    families = {"lmzoo": open_lmzoo, "kerashub": open_kerashub, "transformers": open_transformers}
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="sequences a step")
    parser.add_argument("--length", type=int, default=256, metavar="N", help="tokens a sequence")
    arguments, data = common.start(parser, families)
    if arguments.smoke:
        arguments.batch, arguments.length = 2, 16
    shape = (arguments.batch, arguments.length)
    # Three copies of the weights and the gradients a model: one precision at a time fits in memory.
    for precision in ("float32", "mixed_bfloat16"):
        call = (arguments.size, arguments.threads, shape, precision)
        with open_workers(arguments.families, *call) as workers:
            data["rows"] += common.compare(
                workers,
                f"a training step of {shape[0]} x {shape[1]} tokens in {precision}",
                [()] * (arguments.repeats + 1),
                REFERENCE,
                ("tokens", shape[0] * shape[1]),
                _describe_losses,
            )
    common.finish(arguments, data)


def _describe_losses(row):
    common.check_finite(row)
    return {"first_loss": row["results"][0], "last_loss": row["results"][-1]}


def make_tokens(size, shape):
    """Random ids and what follows each of them, both int32 (B, T)."""
    batch_size, length = shape
    ids = np.random.default_rng(0).integers(
        0, size.vocabulary_size, (batch_size, length + 1), "int32"
    )
    return ids[:, :-1], ids[:, 1:]


def open_lmzoo(size, threads, shape, precision):
    """lmzoo's CausalLM with the optimizer of all, and with what it is compiled with by default."""
    set_tensorflow_threads(threads)
    import keras
    import tensorflow as tf

    import lmzoo

    token_ids, labels = map(tf.constant, make_tokens(size, shape))
    backbone = lmzoo.models.GPTBackbone(dtype=precision, dropout=DROPOUT, **size._asdict())

    def make(*optimizers):
        lm = lmzoo.tasks.CausalLM(backbone)
        lm.compile(*optimizers)
        return Contestant(
            precision, lambda: float(lm.train_on_batch({"token_ids": token_ids}, labels))
        )

    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return {"same optimizer": make(optimizer), "defaults": make()}


def open_kerashub(size, threads, shape, precision):
    """KerasHub's GPT-2, outside XLA and inside."""
    set_tensorflow_threads(threads)
    import keras
    import keras_hub
    import tensorflow as tf

    token_ids, labels = map(tf.constant, make_tokens(size, shape))
    inputs = {"token_ids": token_ids, "padding_mask": tf.ones_like(token_ids, tf.bool)}
    backbone = keras_hub.models.GPT2Backbone(
        **size.arguments,
        max_sequence_length=size.max_sequence_length,
        dropout=DROPOUT,
        dtype=precision,
    )

    def make(jit_compile):
        lm = keras_hub.models.GPT2CausalLM(backbone)
        lm.compile(
            optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
            weighted_metrics=[],
            jit_compile=jit_compile,
        )
        return Contestant(precision, lambda: float(lm.train_on_batch(inputs, labels)))

    return {"plain": make(False), "XLA": make(True)}


def open_transformers(size, threads, shape, precision):
    """transformers' GPT-2 with PyTorch's AdamW, under autocast for mixed_bfloat16."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    token_ids, labels = (torch.tensor(ids, dtype=torch.long) for ids in make_tokens(size, shape))
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=size.vocabulary_size,
            n_positions=size.max_sequence_length,
            n_embd=size.hidden_dim,
            n_layer=size.num_layers,
            n_head=size.num_heads,
            resid_pdrop=DROPOUT,
            embd_pdrop=DROPOUT,
            attn_pdrop=DROPOUT,
        )
    ).train()

    def compute_logits():
        return model(token_ids).logits

    step = common.make_torch_step(
        model, compute_logits, labels, precision, LEARNING_RATE, WEIGHT_DECAY
    )
    return {"PyTorch": Contestant(precision, step)}


if __name__ == "__main__":
    main()
