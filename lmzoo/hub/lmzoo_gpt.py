"""A GPT that no layout of transformers expresses: our own arguments and our own variable paths."""

from lmzoo.hub import own_layout
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.gpt_variables import MAX_SIZES, variable_shapes
from lmzoo.hub.rotary_fields import read_scaling

__all__ = ["make_arguments", "make_config", "make_recipes", "read_names"]

# Argument -> how it is read.
_SIZES = (
    *("vocabulary_size", "num_layers", "num_heads", "hidden_dim"),
    *("intermediate_dim", "max_sequence_length", "num_key_value_heads"),
)
_OPTIONAL_SIZES = ("head_dim", "sliding_window")
_NUMBERS = {
    "max_wavelength": (1e-3, 1e12),
    "norm_epsilon": (0, 1),
    "dropout": (0, 0.999),
    "initializer_range": (0, 1000),
}
_FLAGS = ("gated", "query_key_norm", "use_bias", "tied")
_OPTIONAL_FLAGS = ("use_attention_bias", "use_output_bias")
# Arguments that a folder of the first version does not have.
_ADDED = {"rotary_scaling": None, "use_output_bias": None, "query_key_norm": False}
_CHOICES = {
    "positions": ("learned", "rotary"),
    "norm": ("layer_norm", "rms_norm"),
    "activation": own_layout.ACTIVATIONS,
}


def make_config(backbone):
    """The config.json of any GPT backbone, as a dict."""
    own = own_layout.describe_backbone(backbone)
    return {"model_type": "lmzoo_gpt", own_layout.BACKBONE: own}


def make_arguments(config):
    """The arguments of `GPTBackbone` in a config.json of model type lmzoo_gpt.

    Raises:
        ValueError: if an argument is missing, unknown, of the wrong type or out of its range.
    """
    found = {**_ADDED, **own_layout.read_own(config)}
    arguments = {name: read_size(found, name, None, MAX_SIZES[name]) for name in _SIZES}
    for name in _OPTIONAL_SIZES:
        arguments[name] = read_size(found, name, None, MAX_SIZES[name], optional=True)
    for name, (lowest, highest) in _NUMBERS.items():
        arguments[name] = read_number(found, name, None, lowest, highest)
    for name in _FLAGS:
        arguments[name] = read_flag(found, name, None)
    for name in _OPTIONAL_FLAGS:
        arguments[name] = read_flag(found, name, None, optional=True)
    arguments["rotary_scaling"] = read_scaling(found, "rotary_scaling")
    for name, choices in _CHOICES.items():
        arguments[name] = read_choice(found, name, None, choices)
    own_layout.check_names(found, arguments, "GPTBackbone")
    return arguments


def make_recipes(arguments):
    """dict of variable path -> Recipe: each variable is one tensor under its own path."""
    return own_layout.make_recipes(variable_shapes(arguments))


def read_names(header, arguments):
    """What each tensor of a file is: dict of name in the file -> name in the recipes."""
    return {name: name for name in header}
