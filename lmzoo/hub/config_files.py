"""Reading a config.json that anybody may have written."""

import json

__all__ = ["read_config"]

_LARGEST_CONFIG = 2**20


def read_config(folder):
    """Reads the config.json of a model's folder.

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
    if path.stat().st_size > _LARGEST_CONFIG:
        raise ValueError(f"{str(path)!r} is too large to be a config: {path.stat().st_size} bytes.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{str(path)!r} must hold an object. Received: {type(config).__name__}.")
    return config
