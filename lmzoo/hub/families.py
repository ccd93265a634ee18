"""Which model type is read and written by which module, and where a backbone keeps its weights."""

from lmzoo.hub import gpt2, lmzoo_gpt
from lmzoo.tasks import CausalLM

__all__ = ["FAMILIES", "architecture_of", "family_of", "variables_by_path"]

# model_type in config.json -> the module that knows its keys and tensors
FAMILIES = {"gpt2": gpt2, "lmzoo_gpt": lmzoo_gpt}

_ARCHITECTURES = {CausalLM: "GPT2LMHeadModel"}


def family_of(backbone):
    """The module that can write a backbone."""
    return gpt2 if gpt2.fits(backbone) else lmzoo_gpt


def architecture_of(task):
    """What transformers calls the class of a task."""
    return _ARCHITECTURES[type(task)]


def variables_by_path(backbone):
    """dict of path below the backbone -> Keras variable."""
    return {variable.path.split("/", 1)[1]: variable for variable in backbone.variables}
