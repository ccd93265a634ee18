"""config.json as a whole: reading it, its model type, and the dtype policy that lmzoo adds."""

from lmzoo.hub.files.config_validation import read_choice
from lmzoo.json_files import read_json

__all__ = ["check_model_type", "make_policy_config", "read_config", "read_policy_name"]

# transformers has a key for the dtype of the weights and none for that of the computation.
_POLICY = "lmzoo_dtype_policy"
_MIXED = ("mixed_bfloat16", "mixed_float16")


def read_config(folder):
    """Reads config.json.

    Args:
        folder: pathlib.Path.
    Returns:
        dict.
    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is too large, or not a JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            "`source` must be a folder with a config.json, as `save_pretrained` writes it. "
            f"Received: source={str(folder)!r}."
        )
    return read_json(path)


def check_model_type(folder, config, known):
    """Raises an error unless the model type is supported.

    Args:
        folder: pathlib.Path. For the message.
        config: dict.
        known: tuple of str. The supported ones.
    Raises:
        ValueError: if `model_type` is none of them.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in known:
        raise ValueError(
            f"`model_type` must be one of {', '.join(known)}. Received: "
            f"model_type={model_type!r:.80} in {str(folder / 'config.json')!r}."
        )


def read_policy_name(folder, config):
    """The mixed dtype policy that a model was saved with.

    Args:
        folder: pathlib.Path. For the message.
        config: dict.
    Returns:
        str, or None if it was not a mixed one.
    Raises:
        ValueError: if the name is unknown.
    """
    if _POLICY not in config:
        return None
    try:
        return read_choice(config, _POLICY, None, _MIXED)
    except ValueError as error:
        raise ValueError(f"{str(folder / 'config.json')!r} cannot be used: {error}") from error


def make_policy_config(policy):
    """Fields of config.json for a `keras.DTypePolicy`, as dict.

    Only a mixed policy is written. Other models take the global policy of whoever loads them, as
    those of transformers do: weights in bfloat16 are often only stored in it.
    """
    return {_POLICY: policy.name} if policy.name in _MIXED else {}
