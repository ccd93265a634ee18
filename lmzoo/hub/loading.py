"""Opening a Hugging Face folder as a task."""

import json
import pathlib

import keras

from lmzoo.hub.families import FAMILIES, variables_by_path
from lmzoo.hub.safetensors_files import read_header, read_tensors
from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer

__all__ = ["load"]

_LARGEST_CONFIG = 2**20


def load(source, dtype=None):
    """Opens a task that `save_pretrained`, of lmzoo or of transformers, has written.

    Args:
        source: str or path. A folder with config.json and model.safetensors; without tokenizer files
            the task works on ids.
        dtype: str or None. A Keras dtype policy such as "mixed_bfloat16"; None for the global one.
    Returns:
        `lmzoo.tasks.CausalLM`.
    Raises:
        FileNotFoundError: if `source` is not such a folder.
        ValueError: if `dtype`, the model type or a file is not one that lmzoo reads, or tensors are
            missing, superfluous or of the wrong shape. Nothing has been allocated then.
    """
    folder = pathlib.Path(source)
    policy = _make_policy(dtype)
    config = _read_config(folder)
    family = _find_family(folder, config)
    arguments = family.make_arguments(config)
    names = family.tensor_names(arguments)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise FileNotFoundError(
            f"`source` has no model.safetensors. Received: source={str(folder)!r}."
        )
    header = read_header(weights)
    prefix = _find_prefix(names, header)
    _check_names(weights, names, header, prefix)
    if hasattr(family, "tensor_shapes"):
        _check_shapes(weights, family.tensor_shapes(arguments), header, prefix)
    tokenizer = _load_tokenizer(folder)
    backbone = GPTBackbone(**arguments, dtype=policy)
    variables = variables_by_path(backbone)
    shapes = {name: tuple(variables[path].shape) for name, path in names.items()}
    _check_shapes(weights, shapes, header, prefix)
    for name, array in read_tensors(weights):
        if prefix + name in names:
            variables[names[prefix + name]].assign(array)
    return CausalLM(backbone, tokenizer)


def _make_policy(dtype):
    try:
        return keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`dtype` must name a Keras dtype policy such as 'float32', 'mixed_bfloat16' or "
            f"'mixed_float16'. Received: dtype={dtype!r}."
        ) from error


def _read_config(folder):
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            "`source` must be a folder with a config.json, as `save_pretrained` writes it. "
            f"Received: source={str(folder)!r}."
        )
    if path.stat().st_size > _LARGEST_CONFIG:
        raise ValueError(f"{str(path)!r} is too large to be a config: {path.stat().st_size} bytes.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{str(path)!r} must hold an object. Received: {type(config).__name__}.")
    return config


def _find_family(folder, config):
    model_type = config.get("model_type")
    if model_type not in FAMILIES:
        raise ValueError(
            f"`model_type` must be one of {', '.join(FAMILIES)}. Received: "
            f"model_type={model_type!r} in {str(folder / 'config.json')!r}."
        )
    return FAMILIES[model_type]


def _find_prefix(names, header):
    """What the names in the file lack: the published GPT-2 files have no leading "transformer."."""
    prefix = "transformer."
    bare = any(prefix + name in names for name in header)
    return prefix if bare and not any(name in names for name in header) else ""


def _check_names(path, names, header, prefix):
    found = {prefix + name for name in header if not _is_buffer(name)}
    missing, extra = sorted(names.keys() - found), sorted(found - names.keys())
    # A tied head is sometimes stored a second time.
    extra = [name for name in extra if name not in (f"{prefix}lm_head.weight", "lm_head.weight")]
    if missing or extra:
        raise ValueError(
            f"The tensors of {str(path)!r} do not fit its config. Missing: {missing[:5]}"
            f"{' ...' if len(missing) > 5 else ''}; not expected: {extra[:5]}"
            f"{' ...' if len(extra) > 5 else ''}."
        )


def _is_buffer(name):
    """Causal masks that old GPT-2 files carry beside the weights."""
    return name.endswith((".attn.bias", ".attn.masked_bias"))


def _check_shapes(path, shapes, header, prefix):
    for name, info in header.items():
        wanted = shapes.get(prefix + name)
        if wanted is not None and info.shape != wanted:
            raise ValueError(
                f"{prefix + name!r} in {str(path)!r} must have shape {wanted} by its config. "
                f"Received: {info.shape}."
            )


def _load_tokenizer(folder):
    known = ("tokenizer.json", "vocab.json")
    if not any((folder / name).exists() for name in known):
        return None
    return BytePairTokenizer.load(folder)
