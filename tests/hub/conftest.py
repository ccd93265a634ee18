import json
import pathlib
import shutil
import types

import pytest
import safetensors.numpy

from tests.hub.fake_hub import serve

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


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A FakeHub, which huggingface_hub takes for the only one, and an empty cache."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants, file_download, utils

    with serve() as fake:
        template = fake.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", fake.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        # It waits seconds before each of five new tries.
        quick = types.SimpleNamespace(**vars(file_download.time))
        quick.sleep = lambda seconds: None
        for module in (file_download, utils._http):
            monkeypatch.setattr(module, "time", quick)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield fake
        # Its connections would outlive the hub.
        getattr(utils, "close_session", lambda: None)()
