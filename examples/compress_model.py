"""How small can a classifier become, and what does each step cost? Compresses one step by step.

The model of `classify_docstrings.py`, with four layers, loses half of them and learns the
logits of the whole one (distillation), then half of its weights (magnitude pruning), then bits
(int8, int4). Each step is a .tflite, which a process without TensorFlow runs. Zeros make no file
smaller by themselves, so its size in a zip archive stands beside it. Needs
`pip install -e '.[examples]'`; `--folder` keeps the files, a picture and what was trained.
"""

import argparse
import pathlib
import tempfile

import classify_docstrings
from _helpers import common, lstms
from _helpers.compressed_files import draw, make_table, measure, predict_baselines, print_table

import lmzoo

SHARE_PRUNED = 0.5
# Longer docstrings lose their ends, and training half of its time.
LENGTH = 64


def make_task(names, arguments, rows):
    backbone, tokenizer = common.make_encoder((row["text"] for row in rows), arguments.smoke)
    config = {**backbone.get_config(), "num_layers": 2 if arguments.smoke else 4}
    backbone = type(backbone).from_config(config)
    return lmzoo.tasks.TextClassifier(backbone, tokenizer, labels=names, sequence_length=LENGTH)


def make_half(whole, is_taught):
    """A classifier with every second layer of another one; what is to be taught starts from it."""
    config = whole.backbone.get_config()
    backbone = type(whole.backbone).from_config({**config, "num_layers": config["num_layers"] // 2})
    half = lmzoo.tasks.TextClassifier(
        backbone, whole.tokenizer, labels=whole.labels.names, sequence_length=LENGTH
    )
    if is_taught:
        for name in ("token_embedding", "position_embedding", "embedding_norm"):
            getattr(backbone, name).set_weights(getattr(whole.backbone, name).get_weights())
        for block, other in zip(backbone.blocks, whole.backbone.blocks[::2], strict=True):
            block.set_weights(other.get_weights())
        half.head.set_weights(whole.head.get_weights())
        # Squared error on logits is the limit of soft targets at a high temperature: Hinton et al.
        # 2015, https://arxiv.org/abs/1503.02531, section 2.1.
        half.compile(loss="mean_squared_error", metrics=None, weighted_metrics=None)
    return half


def ask_teacher(teacher, rows):
    """Batches as of a fit on the rows, with the teacher's logits in place of labels."""
    return lstms.make_batches(teacher, rows).map(
        lambda inputs, *_: (inputs, teacher(inputs, training=False))
    )


def prune(task, rows, epochs):
    """Sets the smallest half of each matrix to zero, and trains on with the others."""
    import keras
    import numpy as np

    matrices = [weight for weight in task.trainable_variables if len(weight.shape) > 1]
    sizes = [np.abs(weight.numpy()) for weight in matrices]
    masks = [each > np.quantile(each, SHARE_PRUNED) for each in sizes]

    def apply_masks(*_, **__):
        for weight, mask in zip(matrices, masks, strict=True):
            weight.assign(weight * mask)

    apply_masks()
    task.compile(keras.optimizers.Adam(1e-4))
    keep_zeros = keras.callbacks.LambdaCallback(on_train_batch_end=apply_masks)
    task.fit(rows, epochs=epochs, batch_size=common.BATCH_SIZE, callbacks=[keep_zeros], verbose=2)


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=6))
    names, *halves = classify_docstrings.read_examples(arguments.smoke)
    training, held_out = (
        lmzoo.data.make_rows(text=[each.text for each in half], label=[e.package for e in half])
        for half in halves
    )
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or pathlib.Path(made)

        def train(name, make, teacher=None):
            own = argparse.Namespace(**{**vars(arguments), "folder": folder / name})
            task = common.open_or_make(own, make)
            rows = training if teacher is None else ask_teacher(teacher, training)
            common.train(task, rows, own, learning_rate=5e-4)
            return task

        def export(name, task, quantization=None):
            path = folder / f"{name.replace(' ', '-')}.tflite"
            measured[name] = measure(task, held_out, path, quantization)

        measured = {}
        whole = train("whole", lambda: make_task(names, arguments, training))
        export("whole", whole)
        export("half alone", train("alone", lambda: make_half(whole, is_taught=False)))
        half = train("half", lambda: make_half(whole, is_taught=True), whole)
        export("half distilled", half)
        prune(half, training, epochs=1 if arguments.smoke else 2)
        for step, quantization in (("pruned", None), ("int8", "int8"), ("int4", "int4")):
            export(step, half, quantization)
        for name, labels in predict_baselines(whole, training, held_out, arguments.epochs).items():
            measured[name] = labels, None, None
        table = make_table(measured, [row["label"] for row in held_out])
        print_table(table, f"{len(held_out)} held-out docstrings, by files without TensorFlow")
        if arguments.folder is None:
            print("With --folder the files stay, beside a picture of this table.")
        else:
            draw(table, folder / "compression.png")


if __name__ == "__main__":
    main()
