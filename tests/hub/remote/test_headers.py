"""Describing a model by the headers of its weights, which stay on the hub."""

import pathlib

import numpy as np
import pytest
from safetensors.numpy import save

from lmzoo.hub.describing import describe
from lmzoo.hub.remote.sources import find_folder
from tests.hub.fake_hub import NAME, make_shards

huggingface_hub = pytest.importorskip("huggingface_hub")

SOURCE = f"hf://{NAME}"
SHARDS = [f"model-0000{index}-of-000002.safetensors" for index in (1, 2)]


def read_golden(name):
    return (pathlib.Path(__file__).parents[2] / "golden" / "gpt2" / name).read_bytes()


def publish_golden(hub):
    files = {name: read_golden(name) for name in ("config.json", "model.safetensors")}
    return hub.publish(
        {**files, "vocab.json": b'{"a": 0}', "README.md": b"---\nlicense: mit\n---\n"}
    )


def forget_place(found, *names):
    return {name: value for name, value in found.items() if name not in ("folder", *names)}


def test_a_model_is_described_by_the_headers_of_its_weights_alone(hub):
    commit = publish_golden(hub)
    found = describe(SOURCE)
    assert found["folder"].endswith(commit) and found["task"] == "CausalLM"
    [headers] = [headers for method, path, headers in hub.requests if path.endswith(".safetensors")]
    assert headers["range"] == "bytes=0-65535"
    assert not (pathlib.Path(found["folder"]) / "model.safetensors").exists()
    # The whole folder gives the same answer, and takes what is in the cache.
    folder, asked = find_folder(SOURCE), hub.count("GET", ".safetensors")
    assert (folder / "model.safetensors").read_bytes() == read_golden("model.safetensors")
    assert forget_place(describe(folder)) == forget_place(found)
    assert describe(SOURCE) == {**found, "folder": str(folder)}
    assert hub.count("GET", ".safetensors") == asked


def test_a_long_header_is_fetched_in_two_requests(hub):
    tensors = {f"tensor_{index:090}": np.zeros(1, np.float32) for index in range(600)}
    weights = save(tensors, {"format": "pt"})
    hub.publish({"config.json": b"{}", "model.safetensors": weights})
    assert describe(SOURCE)["num_tensors"] == 600
    length = int.from_bytes(weights[:8], "little")
    asked = [
        headers.get("range") for _, path, headers in hub.requests if path.endswith(".safetensors")
    ]
    assert asked == ["bytes=0-65535", f"bytes=0-{length + 7}"] and length > 2**16


def test_shards_are_described_by_their_headers_alone(hub):
    files = make_shards(*SHARDS)
    hub.publish(files)
    found = describe(SOURCE)
    assert (found["num_parameters"], found["num_tensors"], found["dtypes"]) == (18, 2, ["float32"])
    assert found["files"] == {name: len(data) for name, data in files.items()}
    assert not list(pathlib.Path(found["folder"]).glob("*.safetensors"))


def test_a_broken_header_on_the_hub_raises_the_error_of_one_in_a_file(hub):
    hub.publish({"config.json": b"{}", "model.safetensors": read_golden("model.safetensors")[:-1]})
    with pytest.raises(ValueError, match="model.safetensors' is not a whole safetensors file"):
        describe(SOURCE)
    hub.publish({"config.json": b"{}", "model.safetensors": b"\x80\x04" + bytes(99)})
    with pytest.raises(ValueError, match="it is a pickle, and lmzoo never opens one"):
        describe(SOURCE)


def test_offline_nothing_is_asked_for_a_description(hub, monkeypatch):
    publish_golden(hub)
    found, asked = describe(SOURCE), hub.count()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    # The weights have stayed on the hub.
    for read in (describe, find_folder):
        with pytest.raises(FileNotFoundError, match=f"HF_HUB_OFFLINE.*'{SOURCE}'.*Unset it"):
            read(SOURCE)
    assert hub.count() == asked
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    find_folder(SOURCE)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert describe(SOURCE) == found


def test_a_model_without_safetensors_raises_an_error(hub):
    hub.publish({"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(FileNotFoundError, match=f"pickled ones are never.*'{SOURCE}'.*refs/pr/1"):
        describe(SOURCE)


def test_weights_that_are_out_of_reach_raise_a_connection_error(hub, monkeypatch):
    publish_golden(hub)
    find_folder(SOURCE, weights=False)
    hub.status = (500, "Broken")
    for read in (describe, find_folder):
        with pytest.raises(ConnectionError, match=f"source='{SOURCE}'"):
            read(SOURCE)
