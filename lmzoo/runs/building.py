"""From a recipe to what `fit` takes: data, tokenizer, task, optimizer and schedule."""

import glob
import inspect
import pathlib

import numpy as np

from lmzoo import data, hub, models, tasks, tokenizers, training, zoo
from lmzoo.data.corpus.index_shuffle import shuffle_indices
from lmzoo.files import atomic_folder
from lmzoo.hub.files.tokenizers import load_tokenizer
from lmzoo.runs.schema import OBJECTIVES

__all__ = [
    *("Data", "build_backbone", "build_data", "build_schedule", "build_task", "build_tokenizer"),
    *("compile_task", "find_files", "open_rows"),
]

# What a task learns from where the recipe does not say it.
_KIND_OF_TASK = {
    "CausalLM": "causal_lm",
    "MaskedLM": "masked_lm",
    "Seq2SeqLM": "span_corruption",
    "TokenClassifier": "conll",
    "QuestionAnswerer": "squad",
}
_SCHEDULES = {
    "constant": training.WarmupStableDecay,
    "cosine": training.WarmupCosine,
    "linear": training.WarmupLinear,
    "inverse_sqrt": training.WarmupInverseSquareRoot,
}
_LABEL_COLUMNS = {"TextClassifier": "label", "TokenClassifier": "tags"}
_LONGEST_DEFAULT = 1024
# The backbone gets the size of the vocabulary; a model's tokenizer may not exceed that.
_ANY_SIZE = 1 << 31


class Data:
    """What a run reads.

    Args:
        training: tf.data.Dataset or lmzoo.data.Rows.
        validation: the same, or None.
        batch_size: int or None. B, for Rows.
        num_steps: int. The steps of one pass.
    """

    def __init__(self, training, validation, batch_size, num_steps):
        self.training, self.validation = training, validation
        self.batch_size, self.num_steps = batch_size, num_steps


def find_files(recipe, key):
    """The files of a list of names and patterns, list of str.

    Raises:
        ValueError: if a pattern finds nothing or a file is not there; with the key's place.
    """
    found = []
    for pattern in recipe[key]:
        has_magic = glob.has_magic(pattern)
        paths = sorted(glob.glob(pattern, recursive=True)) if has_magic else [pattern]
        if not paths or not all(pathlib.Path(path).exists() for path in paths):
            raise recipe.make_error(key, "must name files that are there", pattern)
        found += paths
    return found


def find_kind(recipe):
    """What the files hold: `data.kind`, or what the task learns from."""
    if "data.kind" in recipe:
        return recipe["data.kind"]
    task = recipe["model.task"]
    if task is None:
        task = _call(recipe, "model.source", hub.describe, recipe["model.source"])["task"]
    return _KIND_OF_TASK.get(task, "table")


def open_rows(recipe):
    """Labelled rows to train on and to validate with; (None, None) for an objective."""
    kind = find_kind(recipe)
    if kind in OBJECTIVES:
        return None, None
    rows, held_out = _read_rows(recipe, kind, "data.files"), None
    split, seed = recipe["validation.split"], recipe["training.seed"]
    if "validation.files" in recipe:
        held_out = _read_rows(recipe, kind, "validation.files")
    elif split is not None:
        rows, held_out = _call(recipe, "validation.split", rows.split, split, seed)
    # `fit` shuffles the rows of each epoch, but has no argument for a seed.
    return rows.select(shuffle_indices(np.arange(len(rows)), len(rows), seed, epoch=0)), held_out


def _read_rows(recipe, kind, key):
    files = find_files(recipe, key)
    files = files[0] if kind == "folders" else files
    read = getattr(data, f"read_{kind}")
    rows = _call(recipe, "data.options", read, files, **recipe["data.options"])
    if not len(rows):
        raise recipe.make_error(key, "must have rows")
    return rows


def build_tokenizer(recipe, folder, is_chief):
    """A tokenizer that is opened or trained; None where it comes with the model.

    Args:
        recipe: Recipe.
        folder: pathlib.Path. Where a trained one is kept, and opened from in later starts.
        is_chief: bool. Whether this process writes to the folder.
    """
    if "tokenizer.source" in recipe:
        # A model's folder has its tokenizer, whatever family it is of.
        return _call(recipe, "tokenizer.source", _open_tokenizer, recipe["tokenizer.source"])
    if "tokenizer.kind" not in recipe:
        return None
    kind = getattr(tokenizers, recipe["tokenizer.kind"])
    if folder is not None and folder.is_dir():
        return kind.load(folder)
    options = recipe["tokenizer.options"]
    if kind is tokenizers.ByteTokenizer:
        tokenizer = _call(recipe, "tokenizer.options", kind, **options)
    else:
        key = "tokenizer.files" if "tokenizer.files" in recipe else "data.files"
        texts = find_files(recipe, key)
        if key == "data.files" and find_kind(recipe) not in OBJECTIVES:
            texts = _iterate_texts(open_rows(recipe)[0])
        size = recipe["tokenizer.vocabulary_size"]
        tokenizer = _call(recipe, "tokenizer.options", kind.train, texts, size, **options)
    if is_chief and folder is not None:
        with atomic_folder(folder) as new:
            tokenizer.save(new)
    return tokenizer


def _open_tokenizer(source):
    tokenizer = load_tokenizer(hub.find_folder(source, weights=False), _ANY_SIZE)
    if tokenizer is None:
        raise ValueError(f"it must name a folder with a tokenizer. Received: {source!r}.")
    return tokenizer


def _iterate_texts(rows):
    """Each string of each row, those of lists joined by spaces."""
    for row in rows:
        for value in row.values():
            if isinstance(value, list) and value and isinstance(value[0], str):
                value = " ".join(value)
            if isinstance(value, str):
                yield value


def build_task(recipe, rows, folder=None, is_chief=True, tokenizer=None):
    """The task, fresh or opened; to be called in the scope of a strategy.

    Args:
        recipe: Recipe.
        rows: lmzoo.data.Rows or None. Labels that the recipe does not name are found in them.
        folder: pathlib.Path or None. Of the run, for a trained tokenizer.
        is_chief: bool.
        tokenizer: a tokenizer of `lmzoo.tokenizers` for a fresh model, or None for the recipe's.
    Returns:
        A task of `lmzoo.tasks` that is not compiled.
    """
    name, options = recipe["model.task"], dict(recipe["model.options"])
    source = recipe["model.source"]
    column = _LABEL_COLUMNS.get(name)
    if rows is not None and column in rows.columns and not {"labels", "num_classes"} & {*options}:
        options["labels"] = _find_labels(rows, column)
    length = recipe["data.sequence_length"]
    takes_length = (
        name and "sequence_length" in inspect.signature(getattr(tasks, name).__init__).parameters
    )
    if rows is not None and length is not None and takes_length:
        options.setdefault("sequence_length", length)
    precision = recipe["training.precision"]
    if source is not None:
        given = {"dtype": precision, "task": name, **options}
        given = {key: value for key, value in given.items() if value is not None}
        return _call(recipe, "model.source", hub.load, source, **given)
    kept = None if folder is None else folder / "tokenizer"
    if tokenizer is None:
        tokenizer = build_tokenizer(recipe, kept, is_chief)
    backbone = build_backbone(recipe, tokenizer.vocabulary_size)
    return _call(recipe, "model.options", getattr(tasks, name), backbone, tokenizer, **options)


def _find_labels(rows, column):
    """The names of classes in the order of their first letters."""
    found = set()
    for row in rows:
        value = row[column]
        found.update(value if isinstance(value, list) else [value])
    return sorted(map(str, found))


def build_backbone(recipe, vocabulary_size):
    """The fresh backbone of a recipe.

    Args:
        recipe: Recipe.
        vocabulary_size: int. V, of the tokenizer.
    Returns:
        A model of `lmzoo.models`.
    """
    options = {
        "vocabulary_size": vocabulary_size,
        "dtype": recipe["training.precision"] or "float32",
        **recipe["model.backbone_options"],
    }
    if "model.size" in recipe:
        key, function = "model.size", zoo.make_backbone
        return _call(recipe, key, function, recipe["model.size"], **options)
    if recipe["data.sequence_length"] is not None:
        options.setdefault("max_sequence_length", recipe["data.sequence_length"])
    kind = getattr(models, recipe["model.backbone"])
    return _call(recipe, "model.backbone_options", kind, **options)


def build_data(recipe, task, rows, held_out, verbose=False):
    """The data of a run.

    Args:
        recipe: Recipe.
        task: a task of `lmzoo.tasks`.
        rows, held_out: what `open_rows` gave.
        verbose: bool. Whether a terminal shows how text is tokenized.
    Returns:
        Data.
    """
    size = recipe["data.batch_size"]
    if rows is not None:
        return Data(rows, held_out, size, -(-len(rows) // size))
    kind, longest = find_kind(recipe), task.backbone.max_sequence_length
    length = recipe["data.sequence_length"] or min(longest, _LONGEST_DEFAULT)
    if length > longest:
        raise recipe.make_error("data.sequence_length", f"must not exceed the model's {longest}")
    options = {"seed": recipe["training.seed"], "verbose": verbose, **recipe["data.options"]}
    if kind in ("span_corruption", "prefix_lm"):
        options.setdefault("start_token_id", task.start_token_id)

    def read(key, **more):
        function, files = getattr(data, kind), find_files(recipe, key)
        arguments = (files, task.tokenizer, length, size)
        return _call(recipe, "data", function, *arguments, **{**options, **more})

    if "validation.files" in recipe:
        found = read("data.files"), read("validation.files", shuffle=False)
    elif "validation.split" in recipe:
        found = read("data.files", validation_split=recipe["validation.split"])
    else:
        found = read("data.files"), None
    return Data(*found, None, len(found[0]))


def compile_task(recipe, task, num_steps):
    """Freezes layers and compiles a task with the optimizer of the run.

    Args:
        recipe: Recipe.
        task: a task of `lmzoo.tasks`.
        num_steps: int or None. All steps of the run; None for a constant learning rate.
    """
    _freeze(recipe, task.backbone)
    task.backbone.remat = task.backbone.remat or recipe["training.remat"]
    # Compiled with its defaults it says what they are.
    task.compile()
    _call(
        recipe,
        "training",
        task.compile,
        _build_optimizer(recipe, task, num_steps),
        label_smoothing=recipe["training.label_smoothing"],
        z_loss=recipe["training.z_loss"],
        gradient_accumulation_steps=recipe["training.accumulation_steps"],
    )


def _freeze(recipe, backbone):
    """Freezes the lowest blocks of each stack, and the embeddings below them."""
    num_layers, stacks = recipe["model.frozen_layers"], backbone.list_block_stacks()
    if not num_layers:
        return
    if num_layers > max(len(stack) for stack in stacks):
        raise recipe.make_error("model.frozen_layers", f"must not exceed {len(stacks[0])} blocks")
    embeddings = [layer for layer in backbone.layers if "embedding" in layer.name]
    for layer in [*embeddings, *(block for stack in stacks for block in stack[:num_layers])]:
        layer.trainable = False


def _build_optimizer(recipe, task, num_steps):
    own = getattr(task.optimizer, "inner_optimizer", task.optimizer)
    highest = recipe["optimizer.learning_rate"]
    highest = own.get_config()["learning_rate"] if highest is None else highest
    options = {"global_clipnorm": recipe["optimizer.global_clipnorm"] or None}
    if recipe["optimizer.name"] == "AdamW":
        options |= {"weight_decay": own.weight_decay, "beta_2": own.beta_2}
    if recipe["optimizer.ema_momentum"] is not None:
        options |= {"use_ema": True, "ema_momentum": recipe["optimizer.ema_momentum"]}
    options["layer_decay"] = recipe["optimizer.layer_decay"]
    options |= recipe["optimizer.options"]
    rate = highest if num_steps is None else build_schedule(recipe, highest, num_steps)
    kind = getattr(training, recipe["optimizer.name"])
    return _call(recipe, "optimizer", kind, rate, **options)


def build_schedule(recipe, highest, num_steps):
    """How the rate goes over the steps of the run.

    Args:
        recipe: Recipe.
        highest: float. The peak.
        num_steps: int. All steps of the run.
    Returns:
        A schedule of `lmzoo.training`.
    """
    name, warmup = recipe["schedule.name"], recipe["schedule.warmup_steps"]
    share = recipe["schedule.warmup_share"]
    if warmup is None:
        warmup = num_steps // 20 if share is None else min(int(share * num_steps), num_steps - 1)
    cooldown = recipe["schedule.cooldown_steps"]
    if warmup + cooldown >= num_steps:
        raise recipe.make_error(
            "schedule.warmup_steps",
            f"and `schedule.cooldown_steps` must be below the {num_steps} steps of the run",
            warmup,
        )
    if name != "constant" and cooldown:
        raise recipe.make_error("schedule.cooldown_steps", f"must be 0 for {name}")
    if name == "inverse_sqrt":
        # It has no other start than its warm-up.
        options = {"warmup": max(warmup, 1)}
    else:
        options = {"warmup": warmup, "total": num_steps, "end_share": recipe["schedule.end_share"]}
    if name == "constant":
        options["cooldown"] = cooldown
    return _call(recipe, "schedule", _SCHEDULES[name], highest, **options)


def _call(recipe, key, function, *arguments, **options):
    """Calls a function of another room, whose errors get the place in the recipe."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError, OSError, ImportError, RuntimeError) as error:
        raise recipe.explain(key, error) from error
