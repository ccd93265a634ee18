import json
import pathlib
import shutil

import pytest
import safetensors.numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "gpt2"


@pytest.fixture(scope="session")
def golden():
    """The folder of a GPT-2 that transformers wrote, with every tensor random."""
    return GOLDEN


@pytest.fixture
def edit_golden(tmp_path):
    """Copies the golden folder with changes: `edit_golden(change_tensors, **fields of the config)`.

    `change_tensors` changes a dict of name -> array in place. The weights are written by the
    safetensors library, not by ours.
    """

    def edit(change_tensors=None, folder=None, **fields):
        folder = folder or tmp_path / "edited"
        folder.mkdir(exist_ok=True)
        config = json.loads((GOLDEN / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
        if change_tensors is None:
            shutil.copy(GOLDEN / "model.safetensors", folder)
            return folder
        tensors = safetensors.numpy.load_file(GOLDEN / "model.safetensors")
        change_tensors(tensors)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder

    return edit
