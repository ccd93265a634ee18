"""Where a model comes from, against a hub of our own on loopback."""

import io
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save

from lmzoo.hub.describing import describe
from lmzoo.hub.remote import sources
from lmzoo.hub.remote.sources import find_folder
from tests.hub.fake_hub import INDEX, NAME, make_shards

huggingface_hub = pytest.importorskip("huggingface_hub")

SOURCE = f"hf://{NAME}"
WEIGHTS = save({"a": np.arange(2000, dtype=np.float32)}, {"format": "pt"})
FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "README.md": b"---\nlicense: mit\n---\n",
    "LICENSE": b"MIT",
    "1_Pooling/config.json": b"{}",
    # None of these is fetched.
    "pytorch_model.bin": b"\x80\x04.",
    "onnx/model.safetensors": WEIGHTS,
    "onnx/config.json": b"{}",
    "model-x/y-of-00002.safetensors": WEIGHTS,
    "modeling.py": b"raise SystemExit",
    "tf_model.h5": b"x",
}
FETCHED = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "LICENSE"}
ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture
def hub(hub):
    hub.publish(FILES)
    return hub


def read_folder(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_is_read_is_fetched_and_nothing_else(hub):
    folder = find_folder(SOURCE)
    assert folder.name == hub.branches["main"]
    wanted = {*FETCHED, "1_Pooling/config.json"}
    assert read_folder(folder) == {name: FILES[name] for name in wanted}


SHARDS = [
    [f"model-0000{index}-of-00002.safetensors" for index in (1, 2)],
    # As some published ones are called.
    [f"model-0000{index}-of-000002.safetensors" for index in (1, 2)],
    ["pytorch_model.safetensors", "second.part-2.safetensors"],
]


@pytest.mark.parametrize("names", SHARDS, ids=str)
def test_shards_are_fetched_by_the_names_in_their_index(hub, names):
    files = make_shards(*names)
    hub.publish({**files, "model-00003-of-00002.safetensors": WEIGHTS})
    folder = find_folder(SOURCE)
    assert read_folder(folder) == files
    asked = hub.count("GET", ".safetensors")
    assert find_folder(SOURCE) == folder and hub.count("GET", ".safetensors") == asked


def test_one_file_goes_before_shards(hub):
    shards = make_shards(*SHARDS[0])
    hub.publish({**shards, "model.safetensors": WEIGHTS})
    fetched = read_folder(find_folder(SOURCE))
    assert fetched.keys() == {"config.json", INDEX, "model.safetensors"}


@pytest.mark.parametrize("name", ["../x.safetensors", "a/b.safetensors", "*.safetensors", "x.bin"])
def test_an_index_that_names_other_files_is_refused_before_they_are_asked_for(hub, name):
    hub.publish(make_shards(name))
    with pytest.raises(
        ValueError, match=f"by their plain names. Received: {re.escape(repr(name))}"
    ):
        find_folder(SOURCE)
    assert hub.count("GET", ".safetensors") == hub.count("GET", ".bin") == 0


def test_shards_that_the_hub_does_not_have_raise_an_error(hub):
    files = make_shards(*SHARDS[0])
    del files[SHARDS[0][1]]
    hub.publish(files)
    with pytest.raises(FileNotFoundError, match=f"{INDEX} names. Received: source='{SOURCE}'"):
        find_folder(SOURCE)


def test_a_second_time_fetches_no_file(hub):
    first = find_folder(SOURCE)
    fetched = hub.count("GET", "model.safetensors")
    assert (find_folder(SOURCE), fetched) == (first, 1)
    assert hub.count("GET", "model.safetensors") == 1


def test_offline_nothing_is_asked(hub, monkeypatch):
    folder, asked = find_folder(SOURCE), hub.count()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert find_folder(SOURCE) == folder
    assert hub.count() == asked


def test_offline_what_is_not_in_the_cache_raises_an_error(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match=f"HF_HUB_OFFLINE.*source='{SOURCE}'.*Unset it"):
        find_folder(SOURCE)
    assert hub.count() == 0


def test_a_pinned_commit_stays_and_no_pin_moves(hub):
    old = hub.branches["main"]
    assert find_folder(SOURCE).name == old
    new = hub.publish({**FILES, "config.json": b'{"model_type": "bert"}'})
    assert read_folder(find_folder(SOURCE, old))["config.json"] == FILES["config.json"]
    newest = find_folder(SOURCE)
    assert newest.name == new != old
    assert json.loads((newest / "config.json").read_text()) == {"model_type": "bert"}
    # The weights are the same ones, which are not fetched again.
    assert hub.count("GET", "model.safetensors") == 1


def test_a_branch_that_moves_during_the_download_mixes_nothing(hub):
    old = hub.branches["main"]
    hub.next = {name: data + b" " for name, data in FILES.items()}
    folder = find_folder(SOURCE)
    assert (folder.name, hub.branches["main"] == old) == (old, False)
    assert all(data == FILES[name] for name, data in read_folder(folder).items())


def test_weights_that_models_share_in_the_cache_are_read(hub, tmp_path):
    """As the library keeps what comes by Xet: the blob is a link into a store for all models."""
    weights = find_folder(SOURCE) / "model.safetensors"
    blob = weights.parent / os.readlink(weights)
    store = tmp_path / "cache" / "blobs" / "ab"
    store.mkdir(parents=True)
    blob.rename(store / "ab12")
    blob.symlink_to(os.path.relpath(store / "ab12", blob.parent))
    found = describe(SOURCE)
    assert (found["num_parameters"], found["license"]) == (2000, "mit")
    assert found["files"]["model.safetensors"] == len(WEIGHTS)


def test_a_branch_with_slashes_is_a_revision(hub):
    commit = hub.publish({**FILES, "config.json": b"{}"}, branch="refs/pr/1")
    assert find_folder(SOURCE, revision="refs/pr/1").name == commit
    assert find_folder(SOURCE).name == hub.branches["main"] != commit


def holds_weights(cache):
    return any(cache.rglob("model.safetensors"))


def test_a_truncated_download_raises_an_error_and_is_repeated(hub, tmp_path):
    hub.cut["model.safetensors"] = 1000
    with pytest.raises(ConnectionError, match=f"come whole from the hub.*source='{SOURCE}'"):
        find_folder(SOURCE)
    assert not holds_weights(tmp_path / "cache")
    hub.cut.clear()
    assert (find_folder(SOURCE) / "model.safetensors").read_bytes() == WEIGHTS
    assert holds_weights(tmp_path / "cache")


def test_a_file_of_another_size_than_its_head_says_raises_an_error(hub, tmp_path):
    hub.grown["model.safetensors"] = 7
    with pytest.raises(
        ConnectionError, match=f"come whole.*revision=None.*size {len(WEIGHTS) + 7}"
    ):
        find_folder(SOURCE)
    assert not holds_weights(tmp_path / "cache")


def test_a_file_that_goes_between_list_and_download_raises_an_error(hub):
    hub.gone.add("tokenizer.json")
    with pytest.raises(FileNotFoundError, match=f"'{SOURCE}'.*tokenizer.json.*another `revision`"):
        find_folder(SOURCE)


@pytest.mark.parametrize(
    "status, kind, words",
    [
        ((404, "RepoNotFound"), FileNotFoundError, "a model on the hub.*Check the spelling"),
        ((401, "RepoNotFound"), FileNotFoundError, "or is private.*HF_TOKEN"),
        ((403, "GatedRepo"), PermissionError, "which is gated. Accept its terms"),
        ((500, "Broken"), ConnectionError, "500.*Check the network"),
        ((429, "RateLimited"), ConnectionError, "429.*Check the network"),
    ],
)
def test_a_hub_that_says_no_raises_an_error_of_one_line(hub, status, kind, words):
    hub.status = status
    with pytest.raises(kind, match=words) as caught:
        find_folder(SOURCE, revision="v1")
    assert f"source='{SOURCE}', revision='v1'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_revision_that_is_not_there_raises_an_error(hub):
    with pytest.raises(FileNotFoundError, match="a branch, a tag or a commit.*revision='v9'"):
        find_folder(SOURCE, revision="v9")
    absent = "0" * 40
    with pytest.raises(FileNotFoundError, match=f"revision='{absent}'"):
        find_folder(SOURCE, revision=absent)


def test_a_hub_that_is_not_reached_raises_an_error(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=f"not reached. Received: source='{SOURCE}'.*network"):
        find_folder(SOURCE)


def test_a_hub_that_does_not_answer_is_not_waited_for(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.05)
    hub.delay = 0.2
    with pytest.raises(ConnectionError, match=f"come whole.*source='{SOURCE}'.*Timeout"):
        find_folder(SOURCE)


@pytest.mark.parametrize(
    "left_out, words",
    [
        ("config.json", "must have a config.json"),
        ("model.safetensors", "pickled ones are never opened.*refs/pr/1"),
    ],
)
def test_a_model_without_config_or_safetensors_raises_an_error(hub, left_out, words):
    files = {name: data for name, data in FILES.items() if name != left_out}
    commit = hub.publish(files)
    with pytest.raises(FileNotFoundError, match=f"{words}") as caught:
        find_folder(SOURCE)
    assert f"source='{SOURCE}', revision=None, at {commit}" in str(caught.value)


def test_a_cache_that_cannot_be_written_says_so_itself(hub, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError, match=f"source='{SOURCE}'") as caught:
        find_folder(SOURCE)
    assert caught.value.errno


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(hub, monkeypatch, on_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return on_terminal

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    find_folder(SOURCE)
    assert ("%" in stream.getvalue()) == on_terminal


@pytest.mark.parametrize(
    "name",
    [
        *("", "gpt2", "a/b/c", "../b", "a/..", "a/b..c", "a/b--c", "a/.b", "/a/b", "a/b/", "a b/c"),
        *("a/b?x=1", "a/b#c", "a/b@main", "a\\b/c", "a/b\n", "https://a/b", "a/b.git", "é/b"),
        "a/" + "b" * 95,
    ],
)
def test_a_name_that_is_none_is_refused_before_any_request(hub, name):
    with pytest.raises(ValueError, match=re.escape(f"Received: source={'hf://' + name!r:.200}. A")):
        find_folder(f"hf://{name}")
    assert hub.count() == 0


@pytest.mark.parametrize(
    "revision", ["", "..", "../main", "a/../b", "/a", "a//b", "a b", "a\n", "-x", 3, "a" * 201]
)
def test_a_revision_that_is_none_is_refused_before_any_request(hub, revision):
    with pytest.raises(ValueError, match=re.escape(f"Received: revision={revision!r:.200}, sou")):
        find_folder(SOURCE, revision)
    assert hub.count() == 0


def test_a_name_of_the_zoo_is_its_place_on_the_hub(hub, monkeypatch, tmp_path):
    published = sources.list_published()
    changed = {**published, "gpt2": published["gpt2"]._replace(source=SOURCE)}
    monkeypatch.setattr(sources, "list_published", lambda: changed)
    monkeypatch.chdir(tmp_path)
    assert find_folder("gpt2").name == hub.branches["main"]
    (tmp_path / "gpt2").mkdir()
    assert find_folder("gpt2") == pathlib.Path("gpt2")
    assert find_folder(pathlib.Path("gpt2")) == pathlib.Path("gpt2")


def test_a_folder_is_itself_and_has_no_revision(tmp_path):
    assert find_folder(tmp_path) == find_folder(str(tmp_path)) == tmp_path
    with pytest.raises(ValueError, match=f"revision='main', source='{tmp_path}'"):
        find_folder(tmp_path, revision="main")


@pytest.mark.parametrize(
    "source, near", [("gpt3", ", such as .'gpt2"), ("org/name", "[(][)][.]"), ("/no/folder", "")]
)
def test_an_unknown_source_raises_an_error_with_the_known_ones(source, near):
    words = f'"hf://org/name", or one of lmzoo.zoo.names.*{near}.* Received: source={source!r}'
    with pytest.raises(FileNotFoundError, match=words):
        find_folder(source)


def test_without_the_library_the_remedy_raises_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=f"source='{SOURCE}'.*pip install 'lmzoo.hub.'"):
        find_folder(SOURCE)


CODE = """
import json, sys
from lmzoo.hub.remote.sources import find_folder
print(json.dumps([str(find_folder(sys.argv[1])), sorted(sys.modules)]))
"""


def test_the_environment_is_obeyed_and_tensorflow_is_not_needed(hub, tmp_path):
    def run(**environment):
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        child = subprocess.run(
            [sys.executable, "-W", "error", "-c", CODE, SOURCE],
            env={**os.environ, "PYTHONPATH": path, "HF_HOME": str(tmp_path / "a"), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert child.returncode == 0, child.stderr[-2000:]
        assert child.stderr == ""
        return json.loads(child.stdout)

    folder, modules = run(HF_ENDPOINT=hub.endpoint, HF_TOKEN="hf_secret")
    assert pathlib.Path(folder).is_relative_to(tmp_path / "a")
    assert not {"tensorflow", "keras", "torch"} & set(modules)
    ours = [headers for _, path, headers in hub.requests if NAME in path]
    assert {headers.get("authorization") for headers in ours} == {"Bearer hf_secret"}
    asked = hub.count()
    assert run(HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="1")[0] == folder
    assert hub.count() == asked
