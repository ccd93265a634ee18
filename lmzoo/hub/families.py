"""Which model type is read and written by which module, and where a backbone keeps its weights."""

from lmzoo.hub import gpt2, lmzoo_gpt

__all__ = ["ARCHITECTURES", "FAMILIES", "family_of", "variables_by_path"]

# model_type in config.json -> the module that knows its keys and tensors
FAMILIES = {"gpt2": gpt2, "lmzoo_gpt": lmzoo_gpt}
# model_type -> what config.json calls the class; for GPT-2 it is the one transformers opens.
ARCHITECTURES = {"gpt2": "GPT2LMHeadModel", "lmzoo_gpt": "CausalLM"}


def family_of(backbone):
    """The module that can write a backbone."""
    return gpt2 if gpt2.fits(backbone) else lmzoo_gpt


def variables_by_path(backbone):
    """dict of path below the backbone -> Keras variable; the states of dropout are no weights."""
    return {variable.path.split("/", 1)[1]: variable for variable in backbone.weights}
