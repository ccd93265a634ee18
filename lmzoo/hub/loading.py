"""Opening a Hugging Face folder as a task."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from lmzoo.hub.config_files import read_config
from lmzoo.hub.families import FAMILIES, variables_by_path
from lmzoo.hub.gpt_variables import variable_shapes
from lmzoo.hub.safetensors_files import FLOATS, read_header, read_tensor
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer

__all__ = ["load"]

_WEIGHTS = "model.safetensors"


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
    path = _find_weights(folder)
    header = read_header(path)
    # Name in the file -> path of the variable; a tied head may be there beside the embeddings.
    names = family.tensor_names(arguments)
    found = family.read_names(header, arguments)
    _check_names(path, names, found)
    places = {name: names[ours] for name, ours in found.items()}
    _check_tensors(path, variable_shapes(arguments), header, places)
    _check_copies(path, header, places)
    tokenizer = _load_tokenizer(folder, arguments)
    backbone = _build_empty(arguments, policy)
    variables = variables_by_path(backbone)
    for name, place in places.items():
        _assign(path, name, header[name], variables[place])
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


def _find_weights(folder):
    path = folder / _WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(
            f"`source` must hold {_WEIGHTS}; pickled and sharded weights are not read. "
            f"Received: source={str(folder)!r}. Save it again as one file of safetensors."
        )
    return path


def _check_names(path, names, found):
    missing = sorted(names.keys() - set(found.values()))
    extra = sorted(name for name, ours in found.items() if ours not in names)
    if missing or extra:
        raise ValueError(
            f"The tensors of {str(path)!r} must be those of its config. "
            f"Missing: {_shorten(missing)}; not expected: {_shorten(extra)}."
        )


def _shorten(names):
    shown = ", ".join(f"{name!r:.80}" for name in names[:5])
    return (shown or "none") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_tensors(path, shapes, header, places):
    for name, place in places.items():
        info = header[name]
        if info.shape != shapes[place]:
            raise ValueError(
                f"{name!r} in {str(path)!r} must have shape {shapes[place]} by its config. "
                f"Received: {info.shape}."
            )
        if info.dtype not in FLOATS:
            raise ValueError(
                f"{name!r} in {str(path)!r} must have one of the dtypes {', '.join(FLOATS)}. "
                f"Received: {info.dtype}."
            )


def _check_copies(path, header, places):
    """Two tensors for one variable must be equal."""
    first = {}
    for name, place in places.items():
        other = first.setdefault(place, name)
        if other == name:
            continue
        one, two = (read_tensor(path, header[each]) for each in (other, name))
        if not np.array_equal(one, two):
            raise ValueError(
                f"{other!r} and {name!r} in {str(path)!r} must be equal where "
                "`tie_word_embeddings` is true. Received: two different tensors. Set it to false "
                "if the model has a head of its own."
            )


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


def _assign(path, name, info, variable):
    array = read_tensor(path, info)
    with np.errstate(over="ignore"):
        values = array.astype(tf.as_dtype(variable.dtype).as_numpy_dtype, copy=False)
    if values.dtype.itemsize < array.dtype.itemsize and _has_overflown(array, values):
        largest = np.max(np.abs(array[np.isfinite(array)]))
        raise ValueError(
            f"{name!r} in {str(path)!r} must fit `dtype`. Received: {largest:.4g} for "
            f"{variable.dtype}. Load it as 'mixed_{variable.dtype}', which keeps float32 weights."
        )
    variable.assign(values)


def _has_overflown(array, values):
    return not np.array_equal(np.isfinite(array), np.isfinite(values))
