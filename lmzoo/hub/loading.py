"""Opening a Hugging Face folder as a task."""

import pathlib

import keras

from lmzoo.hub.config_files import read_config
from lmzoo.hub.families import FAMILIES, variables_by_path
from lmzoo.hub.gpt_variables import variable_shapes
from lmzoo.hub.weights import check_weights, find_weights, read_weights
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer

__all__ = ["load"]


def load(source, dtype=None):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    Args:
        source: str or path. A folder with config.json and model.safetensors; without tokenizer
            files the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16"; None for the global one.
    Returns:
        `lmzoo.tasks.CausalLM`.
    Raises:
        FileNotFoundError: if `source` is not such a folder.
        ValueError: if `dtype`, the model type or a file is not one that lmzoo reads, tensors are
            missing, superfluous or of the wrong shape, or the tokenizer has more words than the
            model. Nothing has been allocated then. Also if a weight is too large for `dtype`.
    """
    folder = pathlib.Path(source)
    policy = _make_policy(dtype)
    config = read_config(folder)
    family = _find_family(folder, config)
    arguments = _read_arguments(folder, config, family)
    path, header = find_weights(folder)
    shapes = variable_shapes(arguments)
    recipes = family.make_recipes(arguments)
    found = family.read_names(header, arguments)
    check_weights(path, header, found, recipes, shapes)
    tokenizer = _load_tokenizer(folder, arguments)
    backbone = _build_empty(arguments, policy)
    read_weights(path, header, found, recipes, variables_by_path(backbone))
    return CausalLM(backbone, tokenizer)


def _make_policy(dtype):
    try:
        return keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`dtype` must name a Keras dtype policy such as 'float32', 'mixed_bfloat16' or "
            f"'mixed_float16'. Received: dtype={dtype!r}."
        ) from error


def _find_family(folder, config):
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(
            f"`model_type` must be one of {', '.join(FAMILIES)}. Received: "
            f"model_type={model_type!r:.80} in {str(folder / 'config.json')!r}."
        )
    return FAMILIES[model_type]


def _read_arguments(folder, config, family):
    try:
        arguments = family.make_arguments(config)
        variable_shapes(arguments)
    except ValueError as error:
        raise ValueError(f"{str(folder / 'config.json')!r} cannot be used: {error}") from error
    return arguments


def _load_tokenizer(folder, arguments):
    if not any((folder / name).exists() for name in ("tokenizer.json", "vocab.json")):
        return None
    tokenizer = BytePairTokenizer.load(folder)
    if tokenizer.vocabulary_size > arguments["vocabulary_size"]:
        raise ValueError(
            "The tokenizer must not have more words than the model. Received: "
            f"{tokenizer.vocabulary_size} words in {str(folder)!r}, whose config.json says "
            f"{arguments['vocabulary_size']}."
        )
    return tokenizer


def _build_empty(arguments, policy):
    """A backbone of zeros: random ones would be drawn only to be overwritten."""
    backbone = GPTBackbone(**{**arguments, "initializer_range": 0.0}, dtype=policy)
    backbone.initializer_range = arguments["initializer_range"]
    return backbone
