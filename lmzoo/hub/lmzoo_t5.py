"""A T5 that no layout of transformers expresses: our own arguments and our own variable paths."""

from lmzoo.hub.fields import read_choice, read_flag, read_number, read_size
from lmzoo.hub.lmzoo_gpt import ACTIVATIONS
from lmzoo.hub.recipes import Recipe
from lmzoo.hub.t5 import check_buckets
from lmzoo.hub.t5_variables import MAX_SIZES

__all__ = ["MODEL_TYPE", "make_arguments", "make_config", "make_recipes"]

MODEL_TYPE = "lmzoo_t5"
_OURS = "lmzoo_backbone"
_NUMBERS = {"norm_epsilon": (0, 1), "dropout": (0, 0.999), "initializer_factor": (0, 1000)}
_FLAGS = ("gated", "tied")
# What a caller chooses anew each time.
_NOT_OURS = ("name", "dtype", "trainable")


def make_config(backbone):
    """The config.json of any `T5Backbone`, as a dict.

    Raises:
        ValueError: if its activation is a function of the caller's.
    """
    own = backbone.get_config()
    read_choice(own, "activation", None, ACTIVATIONS)
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["Seq2SeqLM"],
        _OURS: {name: value for name, value in own.items() if name not in _NOT_OURS},
    }


def make_arguments(config):
    """The arguments of `T5Backbone` in a config.json of model type lmzoo_t5.

    Raises:
        ValueError: if an argument is missing, unknown, of the wrong type or out of its range.
    """
    found = config.get(_OURS)
    if not isinstance(found, dict):
        raise ValueError(f"`{_OURS}` must be an object. Received: {found!r:.80}.")
    arguments = {name: read_size(found, name, None, MAX_SIZES[name]) for name in MAX_SIZES}
    for name, (lowest, highest) in _NUMBERS.items():
        arguments[name] = read_number(found, name, None, lowest, highest)
    for name in _FLAGS:
        arguments[name] = read_flag(found, name, None)
    arguments["activation"] = read_choice(found, "activation", None, ACTIVATIONS)
    wrong = sorted(found.keys() ^ arguments.keys())
    if wrong:
        raise ValueError(
            f"`{_OURS}` must hold each argument of `T5Backbone` and no other. "
            f"Received: a config in which {wrong!r:.80} is missing or unknown."
        )
    names = ("num_buckets", "max_distance")
    check_buckets(*(arguments[name] for name in names), names)
    return arguments


def make_recipes(shapes):
    """dict of path -> Recipe: each variable is one tensor under its own path."""
    return {path: Recipe((path.replace("/", "."),)) for path in shapes}
