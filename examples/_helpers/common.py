"""What the examples share: arguments, docstrings, a small BERT, resumable training, figures."""

import argparse
import ast
import os
import pathlib
import sysconfig
import zlib
from typing import NamedTuple

import lmzoo
from lmzoo.cli.opening import import_tensorflow

# Tests, what others installed, and files that are tables or text inside of quotes.
LEFT_OUT = {
    "dist-packages", "ensurepip", "idle_test", "lib2to3", "pydoc_data", "site-packages", "test",
    "tests", "turtledemo",
}  # fmt: skip
SMOKE_PACKAGES = {"email", "http", "logging", "unittest"}
BATCH_SIZE = 32


class Docstring(NamedTuple):
    """package: str, the top-level package or module it stands in, such as "email"."""

    package: str
    text: str

    @property
    def content(self):
        """str. The text behind the first line, if any; it decides whether the text is held out.

        Similar functions often share it under different first lines, and must be held out together.
        """
        first, _, body = self.text.partition("\n")
        return body.strip() or first.strip()


# Arguments


def make_parser(description, epochs):
    """The arguments that every example has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--epochs", type=int, default=epochs, metavar="N", help=f"{epochs} by default"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        help="keep the model there, after each epoch; if one is there already, go on with it",
    )
    parser.add_argument("--smoke", action="store_true", help="a tiny model, little text, 1 epoch")
    return parser


def parse(parser):
    """Reads the arguments, imports TensorFlow and seeds all random numbers."""
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error(f"--epochs must be at least 1. Received: {arguments.epochs}.")
    if arguments.smoke:
        arguments.epochs = 1
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(arguments.seed)
    return arguments


# Text


def read_library(smoke=False):
    """Yields (path parts, source, ast.Module) of each module of the standard library."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    # Folder by folder, because what is left out may be far larger than the library itself.
    for folder, folders, names in os.walk(library):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(names):
            parts = (pathlib.Path(folder) / name).relative_to(library).parts
            if not name.endswith(".py") or (smoke and parts[0] not in SMOKE_PACKAGES):
                continue
            try:
                source = (pathlib.Path(folder) / name).read_text(encoding="utf-8")
                yield parts, source, ast.parse(source)
            except (SyntaxError, UnicodeDecodeError):
                continue


def read_docstrings(smoke=False):
    """The standard library's docstrings, list of `Docstring`, each text once."""
    found = {}
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for parts, _, tree in read_library(smoke):
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text and text.strip():
                found.setdefault(text, Docstring(parts[0].removesuffix(".py"), text))
    return list(found.values())[:: 3 if smoke else 1]


def read_pairs(smoke=False):
    """First lines of docstrings and what follows, list of (str, str): to train on, held out."""
    pairs = {}
    for docstring in read_docstrings(smoke):
        first, _, body = docstring.text.partition("\n")
        if len(body.split()) >= 8 and first.strip():
            # If several share a first line, it does not identify its body: keep one.
            pairs.setdefault(first.strip(), docstring.content)
    halves = [], []
    for first, body in pairs.items():
        halves[is_held_out(body)].append((first, body))
    return halves


def is_held_out(name, share=5):
    """Whether a text is held out, as one in `share` is; this depends on its letters alone."""
    return zlib.crc32(name.encode("utf-8")) % share == 0


# Model and training


def make_encoder(texts, smoke=False, folder=None, lowercase=True, vocabulary_size=4000, **options):
    """A backbone and its tokenizer: fresh and small enough for two cores, or pretrained.

    Args:
        texts: iterable of str. What a fresh vocabulary is trained on.
        smoke: bool. Whether the fresh model is a tiny one.
        folder: pathlib.Path or None. What `pretrain_bert.py --folder` wrote.
        lowercase: bool. Whether the fresh tokenizer lowercases.
        vocabulary_size: int. The most tokens of a fresh vocabulary, unless the model is tiny.
        **options: of a fresh `BertBackbone`.
    """
    if folder is not None:
        task = open_model(folder)
        return task.backbone, task.tokenizer
    size = min(vocabulary_size, 800) if smoke else vocabulary_size
    tokenizer = lmzoo.tokenizers.WordPieceTokenizer.train(iter(texts), size, lowercase=lowercase)
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 128}
    if smoke:
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 32}
    sizes |= {"max_sequence_length": 128, "num_segments": 0, "pooler": False, **options}
    backbone = lmzoo.models.BertBackbone(tokenizer.vocabulary_size, **sizes)
    return backbone, tokenizer


def open_or_make(arguments, make):
    """The task that an earlier run saved in `--folder`, or a new one."""
    if arguments.folder is not None and (arguments.folder / "model.keras").exists():
        print(f"Opened {arguments.folder / 'model.keras'}", flush=True)
        return open_model(arguments.folder)
    return make()


def open_model(folder):
    """The task in a folder, with its tokenizer and its optimizer."""
    import keras

    return keras.saving.load_model(folder / "model.keras")


def count_epochs(task, num_steps):
    """int. The epochs, of `num_steps` each, that a task has been trained for."""
    if not task.compiled:
        task.compile()
    return int(task.optimizer.iterations) // num_steps


def train(task, rows, arguments, learning_rate, batch_size=BATCH_SIZE, warmup=0):
    """Fits a task for the epochs that are left, and saves it after each of them.

    Args:
        task: a task of `lmzoo.tasks`.
        rows: `lmzoo.data.Rows`, or a tf.data.Dataset of token batches that starts at the first
            epoch that is left.
        arguments: what `parse` gave.
        learning_rate: float. It decays linearly to 0 at the end of the last epoch.
        batch_size: int. Rows in a step; a dataset has its own.
        warmup: int. The first steps, in which the rate rises linearly from 0.
    """
    import keras

    is_rows = isinstance(rows, lmzoo.data.Rows)
    num_steps = -(-len(rows) // batch_size) if is_rows else len(rows)
    done = count_epochs(task, num_steps)
    if done >= arguments.epochs:
        print(f"Trained for {done} epochs already", flush=True)
        return

    def set_rate(batch, logs=None):
        step = int(task.optimizer.iterations)
        rise = min(1, (step + 1) / max(warmup, 1))
        fall = 1 - step / (num_steps * arguments.epochs)
        task.optimizer.learning_rate = learning_rate * rise * fall

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_begin=set_rate)]
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        callbacks.append(
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: keep(task, arguments))
        )
    task.fit(
        rows,
        batch_size=batch_size if is_rows else None,
        initial_epoch=done,
        epochs=arguments.epochs,
        callbacks=callbacks,
        # A dataset has an order of its own.
        shuffle=is_rows,
        verbose=2,
    )


def keep(task, arguments):
    """Saves the task, its optimizer and its tokenizer; an interrupted write changes nothing."""
    new = arguments.folder / "new.keras"
    task.save(new)
    os.replace(new, arguments.folder / "model.keras")


# Figures


def print_figures(title, names, rows, lower=(), no_best=()):
    """Prints held-out figures, and for each of them which row is the best.

    Args:
        title: str.
        names: list of str. What the figures are.
        rows: dict from the name of the model or a baseline to its list of float, or to None if it
            needs scikit-learn, which is not installed.
        lower: list of str. The figures of which a lower one is better.
        no_best: list of str. Those that only describe.
    """
    width = max(map(len, [*rows, "best"])) + 2
    print(f"\n{title}\n{'':{width}}" + "".join(f"  {name:>9}" for name in names))
    for row, figures in rows.items():
        cells = "  scikit-learn is not installed"
        if figures is not None:
            cells = "".join(
                f"  {value:>{max(9, len(name))}.3f}"
                for name, value in zip(names, figures, strict=True)
            )
        print(f"  {row:{width - 2}}{cells}")
    measured = {row: figures for row, figures in rows.items() if figures is not None}
    for column, name in enumerate(names):
        if name in no_best:
            continue
        choose = min if name in lower else max
        found = choose(figures[column] for figures in measured.values())
        best = [row for row, figures in measured.items() if figures[column] == found]
        print(f"  best {name}: {', '.join(best)}")
    print(flush=True)


def compute_scores(truth, predicted, num_classes):
    """Accuracy and macro F1 of class numbers; None where `predicted` is None."""
    import numpy as np

    if predicted is None:
        return None
    metric = lmzoo.metrics.F1(num_classes)
    metric.update_state(truth, np.eye(num_classes, dtype="float32")[predicted])
    return [float(np.mean(np.equal(truth, predicted))), float(metric.result())]


def predict_with_bag_of_words(texts, labels, held_out, **options):
    """Predictions of logistic regression on TF-IDF features; None without scikit-learn.

    Args:
        texts, labels: list of str, list of int. The training data.
        held_out: list of str.
        **options: of scikit-learn's `TfidfVectorizer`.
    Returns:
        int array, a label for each of `held_out`.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return None
    vectorizer = TfidfVectorizer(sublinear_tf=True, **options)
    model = LogisticRegression(C=10.0, max_iter=1000)
    model.fit(vectorizer.fit_transform(texts), labels)
    return model.predict(vectorizer.transform(held_out))
