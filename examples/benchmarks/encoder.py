"""How fast lmzoo runs and trains a model of BERT's size, beside KerasHub and PyTorch.

The forward pass reads 8 x 128 random tokens, all of them real; the training step as many, of which
20 in a row are masked: forward, cross-entropy at the masked tokens, backward, AdamW, dropout of
0.1, the same optimizer for all. The contestants of one precision take turns, each framework in a
process of its own.

    python examples/benchmarks/encoder.py --only lmzoo,kerashub --json encoder.json
"""

import numpy as np
from _harness import common
from _harness.common import set_tensorflow_threads
from _harness.workers import Contestant, open_workers

REFERENCE = ("kerashub", None)
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1e-4, 0.01, 0.1
# float32 weights computed with in bfloat16, or weights that are bfloat16 themselves.
PRECISIONS = {"forward": ("float32", "bfloat16"), "training": ("float32", "mixed_bfloat16")}


def main():
    families = {"lmzoo": open_lmzoo, "kerashub": open_kerashub, "transformers": open_transformers}
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.set_defaults(vocabulary=30522)
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="texts a step")
    parser.add_argument("--length", type=int, default=128, metavar="N", help="tokens a text")
    parser.add_argument("--masked", type=int, default=20, metavar="N", help="masked tokens a text")
    parser.add_argument("--work", choices=list(PRECISIONS), help="one of the two tables")
    parser.add_argument("--precision", metavar="NAME", help="one precision, such as bfloat16")
    arguments, data = common.start(parser, families)
    size = arguments.size._replace(max_sequence_length=512)
    if arguments.smoke:
        arguments.batch, arguments.length, arguments.masked = 2, 16, 3
    shape = (arguments.batch, arguments.length, arguments.masked)
    for work in [arguments.work] if arguments.work else PRECISIONS:
        for precision in PRECISIONS[work]:
            if arguments.precision not in (None, precision):
                continue
            call = (size, arguments.threads, shape, work, precision)
            with open_workers(arguments.families, *call) as workers:
                data["rows"] += common.compare(
                    workers,
                    f"BERT, {work}, {shape[0]} x {shape[1]} tokens in {precision}",
                    [()] * (arguments.repeats + 1),
                    REFERENCE,
                    ("tokens", shape[0] * shape[1]),
                    common.check_finite,
                    work=work,
                )
    common.finish(arguments, data)


def make_batch(size, shape):
    """Random ids int32 (B, T), masked positions int32 (B, P) and what stood there, int32 (B, P)."""
    batch_size, length, num_masked = shape
    random = np.random.default_rng(0)
    ids = random.integers(0, size.vocabulary_size, (batch_size, length), "int32")
    positions = np.stack(
        [np.sort(random.permutation(length)[:num_masked]) for _ in range(batch_size)]
    ).astype("int32")
    return ids, positions, random.integers(0, size.vocabulary_size, positions.shape, "int32")


def open_lmzoo(size, threads, shape, work, precision):
    """lmzoo's BertBackbone in a tf.function, or MaskedLM."""
    set_tensorflow_threads(threads)
    import keras
    import tensorflow as tf

    import lmzoo

    token_ids, positions, labels = map(tf.constant, make_batch(size, shape))
    backbone = lmzoo.models.BertBackbone(dtype=precision, dropout=DROPOUT, **size._asdict())
    inputs = {
        "token_ids": token_ids,
        "padding_mask": tf.ones_like(token_ids, tf.bool),
        "segment_ids": tf.zeros_like(token_ids),
    }
    if work == "forward":
        return _make_forward(backbone, inputs, precision)
    inputs["mask_positions"] = positions
    weights = tf.ones(labels.shape)

    def make(*optimizers, **options):
        lm = lmzoo.tasks.MaskedLM(backbone)
        lm.compile(*optimizers, **options)

        def run():
            result = lm.train_on_batch(inputs, labels, weights)
            # With its own metrics the loss comes first.
            return float(result[0] if isinstance(result, list | tuple) else result)

        return Contestant(precision, run)

    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return {"MaskedLM": make(optimizer, weighted_metrics=[]), "defaults": make()}


def open_kerashub(size, threads, shape, work, precision):
    """KerasHub's BERT, outside XLA and inside."""
    set_tensorflow_threads(threads)
    import keras
    import keras_hub
    import tensorflow as tf

    token_ids, positions, labels = map(tf.constant, make_batch(size, shape))
    backbone = keras_hub.models.BertBackbone(
        **size.arguments,
        max_sequence_length=size.max_sequence_length,
        dropout=DROPOUT,
        dtype=precision,
    )
    inputs = {
        "token_ids": token_ids,
        "padding_mask": tf.ones_like(token_ids),
        "segment_ids": tf.zeros_like(token_ids),
    }
    if work == "forward":
        return _make_forward(backbone, inputs, precision)
    inputs["mask_positions"] = positions
    weights = tf.ones(labels.shape)

    def make(jit_compile):
        lm = keras_hub.models.BertMaskedLM(backbone, preprocessor=None)
        lm.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
            weighted_metrics=[],
            jit_compile=jit_compile,
        )
        return Contestant(precision, lambda: float(lm.train_on_batch(inputs, labels, weights)))

    return {"plain": make(False), "XLA": make(True)}


def _make_forward(backbone, inputs, precision):
    import tensorflow as tf

    def make(jit_compile):
        forward = tf.function(
            lambda inputs: backbone(inputs, training=False), jit_compile=jit_compile
        )
        return Contestant(
            precision, lambda: float(tf.reduce_sum(forward(inputs)["pooled_output"]).numpy())
        )

    return {"plain": make(False), "XLA": make(True)}


def make_bert_config(size):
    """transformers' configuration of a size."""
    import transformers

    return transformers.BertConfig(
        vocab_size=size.vocabulary_size,
        max_position_embeddings=size.max_sequence_length,
        hidden_size=size.hidden_dim,
        num_hidden_layers=size.num_layers,
        num_attention_heads=size.num_heads,
        intermediate_size=4 * size.hidden_dim,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
    )


def open_transformers(size, threads, shape, work, precision):
    """transformers' BERT in PyTorch; trained under autocast for mixed_bfloat16."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    token_ids, positions, labels = (
        torch.tensor(ids, dtype=torch.long) for ids in make_batch(size, shape)
    )
    config = make_bert_config(size)
    mask = torch.ones_like(token_ids)
    if work == "forward":
        model = transformers.BertModel(config).eval().to(getattr(torch, precision))

        def run_forward():
            with torch.inference_mode():
                return float(model(token_ids, attention_mask=mask).pooler_output.sum())

        return {"PyTorch": Contestant(precision, run_forward)}

    model = transformers.BertForMaskedLM(config).train()
    rows = torch.arange(len(token_ids))[:, None]

    def compute_logits():
        hidden = model.bert(token_ids, attention_mask=mask).last_hidden_state
        return model.cls(hidden[rows, positions])

    step = common.make_torch_step(
        model, compute_logits, labels, precision, LEARNING_RATE, WEIGHT_DECAY
    )
    return {"PyTorch": Contestant(precision, step)}


if __name__ == "__main__":
    main()
