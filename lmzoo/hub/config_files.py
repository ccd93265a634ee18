"""Reading a config.json that anybody may have written."""

from lmzoo.json_files import read_json

__all__ = ["read_config"]

_LARGEST_CONFIG = 2**19


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
    size = path.stat().st_size
    if size > _LARGEST_CONFIG:
        raise ValueError(
            f"config.json must have at most {_LARGEST_CONFIG} bytes. "
            f"Received: {str(path)!r} with {size}."
        )
    return read_json(path)
