"""The trained models that come with lmzoo: small ones, which `examples/zoo` makes.

Each is a folder of `saved_models/`, beside the package in a checkout and inside it where it was
installed. `figures.json` in it says what was measured. Nothing here needs TensorFlow.
"""

import pathlib
from typing import NamedTuple

from lmzoo.json_files import read_json

__all__ = ["EXPORTED", "TrainedModel", "find_models_folder", "find_trained", "list_trained"]

EXPORTED = "model.tflite"
_FIGURES = "figures.json"
_PACKAGE = pathlib.Path(__file__).parents[1]


class TrainedModel(NamedTuple):
    """A trained model that comes with lmzoo.

    source: str. Its folder.
    model_type: str. What its config.json says.
    task: str. The class of `lmzoo.tasks` that it opens as.
    num_parameters: int. All of the task, each once.
    license: str. That of the weights and of the text they were trained on.
    config: dict. Its config.json.
    note: str. What it does, in one line.
    num_bytes: int. The files of all its forms.
    score: dict. `metric` (str), `value`, `low` and `high` (float): the held-out figure and its 95 %
        interval.
    """

    source: str
    model_type: str
    task: str
    num_parameters: int
    license: str
    config: dict
    note: str
    num_bytes: int
    score: dict


def find_models_folder():
    """pathlib.Path. The folder of the trained models, which need not be there."""
    installed = _PACKAGE / "saved_models"
    return installed if installed.is_dir() else _PACKAGE.parent / "saved_models"


def find_trained(name):
    """The folder of a trained model.

    Args:
        name: str.
    Returns:
        pathlib.Path, or None if there is none of this name.
    """
    if not isinstance(name, str) or not name.replace("-", "").isalnum():
        return None
    folder = find_models_folder() / name
    return folder if (folder / _FIGURES).is_file() else None


def list_trained():
    """dict of name -> TrainedModel, by name."""
    root = find_models_folder()
    names = sorted(path.parent.name for path in root.glob(f"*/{_FIGURES}"))
    return {name: _read(root / name) for name in names if find_trained(name) is not None}


def _read(folder):
    config, figures = read_json(folder / "config.json"), read_json(folder / _FIGURES)
    return TrainedModel(
        source=str(folder),
        model_type=config["model_type"],
        config=config,
        note=figures["title"],
        num_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        **{name: figures[name] for name in ("task", "num_parameters", "license", "score")},
    )
