"""A T5 that no layout of transformers expresses: our own arguments and our own variable paths."""

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.own_layout import (
    ACTIVATIONS,
    BACKBONE,
    check_names,
    describe_backbone,
    read_own,
)
from lmzoo.hub.t5 import check_buckets
from lmzoo.hub.t5_variables import MAX_SIZES

__all__ = ["MODEL_TYPE", "make_arguments", "make_config"]

MODEL_TYPE = "lmzoo_t5"
_NUMBERS = {"norm_epsilon": (0, 1), "dropout": (0, 0.999), "initializer_factor": (0, 1000)}
_FLAGS = ("gated", "tied")


def make_config(backbone):
    """The config.json of any `T5Backbone`, as a dict.

    Raises:
        ValueError: if its activation is a function of the caller's.
    """
    own = describe_backbone(backbone)
    read_choice(own, "activation", None, ACTIVATIONS)
    return {"model_type": MODEL_TYPE, "architectures": ["Seq2SeqLM"], BACKBONE: own}


def make_arguments(config):
    """The arguments of `T5Backbone` in a config.json of model type lmzoo_t5.

    Raises:
        ValueError: if an argument is missing, unknown, of the wrong type or out of its range.
    """
    found = read_own(config)
    arguments = {name: read_size(found, name, None, MAX_SIZES[name]) for name in MAX_SIZES}
    for name, (lowest, highest) in _NUMBERS.items():
        arguments[name] = read_number(found, name, None, lowest, highest)
    for name in _FLAGS:
        arguments[name] = read_flag(found, name, None)
    arguments["activation"] = read_choice(found, "activation", None, ACTIVATIONS)
    check_names(found, arguments, "T5Backbone")
    names = ("num_buckets", "max_distance")
    check_buckets(*(arguments[name] for name in names), names)
    return arguments
