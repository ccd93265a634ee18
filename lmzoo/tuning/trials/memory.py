"""Whether the training of a trial fits into memory, by the estimate of `lmzoo.training`."""

import os
import pathlib
import re

import tensorflow as tf

from lmzoo import tasks
from lmzoo.hub import read_outline
from lmzoo.runs.building import build_backbone, compile_task
from lmzoo.runs.recipe import Recipe
from lmzoo.training import describe_batch, estimate_memory

__all__ = ["estimate_training_memory", "find_free_memory"]

_LONGEST_DEFAULT = 1024
# Two labels stand for those that are found in the data: a head is small.
_LABELS = {"TextClassifier": ["0", "1"], "TokenClassifier": ["0", "1"]}
# What is in the memory of a graphics card; the process has all.
_ON_DEVICE = ("weights", "optimizer", "activations", "update")


def estimate_training_memory(recipe, vocabulary_size):
    """Bytes that training by a recipe takes beside what the process has, without making a weight.

    Args:
        recipe: Recipe of a run.
        vocabulary_size: int or None. V, of the tokenizer of a fresh model.
    Returns:
        int: of a graphics card where there is one, or else of the machine.
    Raises:
        ValueError: if the recipe describes no model.
    """

    # The rate of a task's own optimizer could not be read in a graph, and takes no memory.
    given = {**recipe.given, "optimizer.learning_rate": 1e-3}
    recipe = Recipe(given, recipe.places, recipe.name)

    def make_task():
        task = _make_outline(recipe, vocabulary_size)
        compile_task(recipe, task, None)
        return task

    found = estimate_memory(
        make_task,
        lambda task: _describe_batch(recipe, task),
        recipe["training.accumulation_steps"],
    )
    if tf.config.list_physical_devices("GPU"):
        return sum(found[name] for name in _ON_DEVICE)
    return found["total"] - found["process"]


def _make_outline(recipe, vocabulary_size):
    """The task of a recipe, without a tokenizer and without data."""
    name, options = recipe["model.task"], dict(recipe["model.options"])
    if not {"labels", "num_classes"} & options.keys() and name in _LABELS:
        options["labels"] = _LABELS[name]
    if "model.source" in recipe:
        return read_outline(recipe["model.source"], task=name)(
            recipe["training.precision"], options
        )
    backbone = build_backbone(recipe, vocabulary_size)
    return getattr(tasks, name)(backbone, None, **options)


def _describe_batch(recipe, task):
    size, longest = recipe["data.batch_size"], task.backbone.max_sequence_length
    length = min(recipe["data.sequence_length"] or _LONGEST_DEFAULT, longest)
    if type(task).__name__ != "TextEmbedder":
        return describe_batch(task, size, length)
    # Of a pair both texts go through the encoder.
    names = {"token_ids": tf.int32, "padding_mask": tf.bool}
    return {name: tf.TensorSpec((size, 2, length), names[name]) for name in names}, None, None


def find_free_memory():
    """Bytes that training may take: of the first GPU, or else of the machine; None if unknown."""
    if tf.config.list_physical_devices("GPU"):
        from tensorflow.python.client import device_lib

        return max(each.memory_limit for each in device_lib.list_local_devices())
    path = pathlib.Path("/proc/meminfo")
    if path.exists():
        found = re.search(r"MemAvailable:\s+(\d+) kB", path.read_text())
        return 1024 * int(found[1]) if found else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
