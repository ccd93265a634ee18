"""A GPT that no layout of transformers expresses: our own arguments and our own variable paths."""

from lmzoo.models import GPTBackbone

__all__ = ["make_arguments", "make_config", "tensor_names"]

_OURS = "lmzoo_backbone"


def make_config(backbone):
    """The config.json of any GPT backbone, as a dict."""
    config = backbone.get_config()
    return {
        "model_type": "lmzoo_gpt",
        _OURS: {name: value for name, value in config.items() if name not in ("name", "dtype")},
    }


def make_arguments(config):
    """The arguments of `GPTBackbone` in a config.json of model type lmzoo_gpt."""
    arguments = config.get(_OURS)
    if not isinstance(arguments, dict):
        raise ValueError(f"`{_OURS}` must be an object. Received: {arguments!r}.")
    return arguments


def tensor_names(arguments):
    """dict of tensor name -> the path of our variable below the backbone."""
    # A model of the same options with one word and one position has the same paths.
    backbone = GPTBackbone(**{**arguments, "vocabulary_size": 1, "max_sequence_length": 1})
    return {path.replace("/", "."): path for path in _paths(backbone)}


def _paths(backbone):
    return [variable.path.split("/", 1)[1] for variable in backbone.variables]
