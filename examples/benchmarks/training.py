"""How fast lmzoo trains models of GPT-2's and BERT's size, beside KerasHub and PyTorch.

One step of GPT-2 reads 4 x 256 random tokens, one of BERT 8 x 128, of which it predicts 20 a text:
forward, cross-entropy, backward, AdamW, dropout of 0.1. All contestants have the same optimizer but
the rows that say "defaults", which are what `compile()` makes: they also clip the gradients to a
global norm. The contestants of one precision take turns, each framework in a process of its own,
and beside them the matrix products of the step alone.

    python examples/benchmarks/training.py --only lmzoo,kerashub,products --json training.json
"""

import encoder
import numpy as np
from _harness import common, products
from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant, open_workers

REFERENCE = ("kerashub", None)
PRECISIONS = ("float32", "mixed_bfloat16")
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-4, 0.1, 0.1
# BERT base: vocabulary, positions, texts, tokens of a text, masked tokens of a text.
BERT_SIZES, BERT_SHAPE = {"vocabulary_size": 30522, "max_sequence_length": 512}, (8, 128, 20)


def main():
    families = {
        "lmzoo": open_lmzoo,
        "kerashub": open_kerashub,
        "transformers": open_transformers,
        products.FAMILY: None,
    }
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="sequences a step")
    parser.add_argument("--length", type=int, default=256, metavar="N", help="tokens a sequence")
    parser.add_argument("--model", choices=["gpt2", "bert"], help="one of the two models")
    parser.add_argument("--precision", choices=PRECISIONS, help="one of the two precisions")
    arguments, data = common.start(parser, families)
    shape, bert_shape, bert_size = (arguments.batch, arguments.length), BERT_SHAPE, arguments.size
    if arguments.smoke:
        shape, bert_shape = (2, 16), (2, 16, 3)
    else:
        bert_size = arguments.size._replace(**BERT_SIZES)
    # Three copies of the weights and the gradients a model: one precision at a time fits in memory.
    for precision in [arguments.precision] if arguments.precision else PRECISIONS:
        if arguments.model != "bert":
            call = (arguments.size, arguments.threads, shape, precision)
            openers = {name: (opener, call) for name, opener in arguments.families.items()}
            data["rows"] += measure_step("GPT-2", arguments, openers, call, shape[0] * shape[1])
        if arguments.model != "gpt2":
            call = (bert_size, arguments.threads, bert_shape, "training", precision)
            openers = {
                name: (getattr(encoder, f"open_{name}", None), call) for name in arguments.families
            }
            scored = bert_shape[0] * bert_shape[2]
            data["rows"] += measure_step("BERT", arguments, openers, call, scored)
    common.finish(arguments, data)


def measure_step(model, arguments, openers, call, num_scored):
    """A table of training steps, list of dict, one for each contestant.

    Args:
        model: str.
        arguments: argparse.Namespace of the benchmark.
        openers: dict of family to (function of a module, its arguments).
        call: the arguments of all families but the products.
        num_scored: int. How many tokens get logits.
    """
    size, threads, shape, *_, precision = call
    if products.FAMILY in openers:
        own = (size, threads, shape[:2], num_scored, precision)
        openers = {**openers, products.FAMILY: (products.open_products, own)}
    with open_workers(openers) as workers:
        rows = common.compare(
            workers,
            f"a training step of {model}, {shape[0]} x {shape[1]} tokens in {precision}",
            [()] * (arguments.repeats + 1),
            REFERENCE,
            ("tokens", shape[0] * shape[1]),
            _describe_losses,
            model=model,
        )
    products.add_shares(rows)
    return rows


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
