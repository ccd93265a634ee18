"""The folders that transformers writes for two small T5s, put together from golden files."""

import json
import pathlib

import numpy as np
import safetensors.numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
FAMILIES = ("t5", "flan_t5")


def read_expected(family):
    with np.load(GOLDEN / family / "expected.npz") as file:
        expected = dict(file)
    return {**expected, "record": json.loads(str(expected["record"]))}


def read_tensors(family):
    with np.load(GOLDEN / family / "weights.npz") as file:
        return {name: (file[name] / 64).astype(np.float32) for name in file.files}


def write_folder(folder, family, change_tensors=None, **fields):
    """Writes what transformers has written, with changes.

    Args:
        folder: pathlib.Path.
        family: str. One of `FAMILIES`.
        change_tensors: callable that changes a dict of name -> array in place, or None.
        fields: of config.json; those that are None are left out.
    """
    config = json.loads((GOLDEN / family / "config.json").read_text(encoding="utf-8"))
    config = {name: value for name, value in {**config, **fields}.items() if value is not None}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = read_tensors(family)
    if change_tensors is not None:
        change_tensors(tensors)
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder
