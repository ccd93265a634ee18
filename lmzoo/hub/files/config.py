"""Reading a config.json that anybody may have written."""

from lmzoo.json_files import read_json

__all__ = ["check_model_type", "read_config"]


def read_config(folder):
    """Reads the config.json of a model's folder.

    Args:
        folder: pathlib.Path.
    Returns:
        dict.
    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is too large, or no JSON object.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            "`source` must be a folder with a config.json, as `save_pretrained` writes it. "
            f"Received: source={str(folder)!r}."
        )
    return read_json(path)


def check_model_type(folder, config, known):
    """Refuses a config of a model type that is not read here.

    Args:
        folder: pathlib.Path. Where it was read.
        config: dict.
        known: tuple of str.
    Raises:
        ValueError: if its `model_type` is none of them; it lists them.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in known:
        raise ValueError(
            f"`model_type` must be one of {', '.join(known)}. Received: "
            f"model_type={model_type!r:.80} in {str(folder / 'config.json')!r}."
        )
