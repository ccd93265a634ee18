"""Whether a model fits into memory while it is trained, by an estimate."""

import inspect
import os
import pathlib
import re

from lmzoo import hub, models
from lmzoo.hub.published import find_arguments
from lmzoo.tuning.space import find_backbone_name
from lmzoo.zoo import find_entry

__all__ = ["estimate_training_memory", "find_free_memory", "find_sizes"]

_LANGUAGE_MODELS = ("CausalLM", "MaskedLM", "Seq2SeqLM")
_LONGEST_DEFAULT = 1024


def find_sizes(recipe, vocabulary_size):
    """The sizes of a model that a recipe describes, without making it.

    Args:
        recipe: Recipe of a run.
        vocabulary_size: int. V, of the tokenizer of a fresh model.
    Returns:
        dict with `vocabulary_size`, `hidden_dim`, `num_layers` (of all stacks), `num_heads`,
        `intermediate_dim`, `max_sequence_length` and `num_parameters`, int.
    """
    if "model.source" in recipe:
        found = hub.describe(recipe["model.source"])
        sizes = {name: found[name] for name in found if isinstance(found[name], int)}
        gated, is_double = False, found["family"] == "T5"
    else:
        name = recipe["model.backbone"] or find_backbone_name(recipe["model.task"])
        arguments = recipe["model.backbone_options"]
        if "model.size" in recipe:
            entry = find_entry(recipe["model.size"])
            arguments = {**find_arguments(entry), **arguments}
        defaults = inspect.signature(getattr(models, name).__init__).parameters
        sizes = {
            key: each.default for key, each in defaults.items() if isinstance(each.default, int)
        }
        sizes |= {key: arguments[key] for key in arguments if isinstance(arguments[key], int)}
        sizes["vocabulary_size"] = vocabulary_size
        gated, is_double = bool(sizes.get("gated")), name == "T5Backbone"
    width = sizes["hidden_dim"]
    inner = sizes.get("intermediate_dim") or 4 * width
    blocks = sizes["num_layers"] * (2 if is_double else 1)
    size = sizes.get("head_dim") or width // sizes["num_heads"]
    # The decoder of a T5 attends twice.
    attention = (6 if is_double else 4) * width * sizes["num_heads"] * size
    counted = blocks * (attention + (3 if gated else 2) * width * inner)
    counted += (sizes["vocabulary_size"] + 1024) * width
    return {
        "vocabulary_size": sizes["vocabulary_size"],
        "hidden_dim": width,
        "num_layers": blocks,
        "num_heads": sizes["num_heads"],
        "intermediate_dim": inner,
        "max_sequence_length": sizes.get("max_sequence_length") or _LONGEST_DEFAULT,
        "num_parameters": sizes.get("num_parameters") or counted,
    }


def estimate_training_memory(recipe, vocabulary_size):
    """Bytes that a training step takes, beside what a process with TensorFlow has anyway.

    Weights, their gradients and Adam's two moments are four numbers a parameter. Activations are
    the outputs of each block's operations, about 16 D + 3 F numbers a token and two for each pair
    of tokens and head, and for a language model three times the logits.

    Args:
        recipe: Recipe of a run.
        vocabulary_size: int. V, of the tokenizer of a fresh model.
    Returns:
        int.
    """
    sizes = find_sizes(recipe, vocabulary_size)
    is_short = "16" in (recipe["training.precision"] or "")
    # Half-precision computes with a second copy of the weights.
    fixed = (18 if is_short else 16) * sizes["num_parameters"]
    longest = min(sizes["max_sequence_length"], _LONGEST_DEFAULT)
    length = min(recipe["data.sequence_length"] or longest, longest)
    rows = -(-recipe["data.batch_size"] // recipe["training.accumulation_steps"])
    tokens = rows * length
    block = tokens * (16 * sizes["hidden_dim"] + 3 * sizes["intermediate_dim"])
    block += 2 * tokens * length * sizes["num_heads"]
    activations = (2 if is_short else 4) * sizes["num_layers"] * block
    if recipe["model.task"] in _LANGUAGE_MODELS:
        activations += 12 * tokens * sizes["vocabulary_size"]
    return fixed + activations


def find_free_memory():
    """Bytes that training may take: of the first GPU, or else of the machine; None if unknown."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        from tensorflow.python.client import device_lib

        limits = [each.memory_limit for each in device_lib.list_local_devices()]
        return max(limits)
    path = pathlib.Path("/proc/meminfo")
    if path.exists():
        found = re.search(r"MemAvailable:\s+(\d+) kB", path.read_text())
        return 1024 * int(found[1]) if found else None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
