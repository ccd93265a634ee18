import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

import lmzoo
from lmzoo.hub import describe
from lmzoo.hub.files.shards import find_weights, make_index, parse_shard_size, plan_shards

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """Two shards by the library: a and b in one, c in the other."""
    values = {name: np.full(3, index, np.float32) for index, name in enumerate("abc")}
    write(tmp_path / ONE, a=values["a"], b=values["b"])
    write(tmp_path / TWO, c=values["c"])
    write_index(tmp_path, {"a": ONE, "b": ONE, "c": TWO})
    return tmp_path


def write(path, **tensors):
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})


def write_index(folder, weight_map):
    content = {"metadata": {"total_size": 36}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(content))


def test_shards_are_one_header_whose_tensors_know_their_files(folder):
    path, header = find_weights(folder)
    assert path == folder / INDEX
    assert {name: info.path for name, info in header.items()} == {
        "a": folder / ONE,
        "b": folder / ONE,
        "c": folder / TWO,
    }


def test_one_file_counts_where_there_are_both(folder):
    write(folder / "model.safetensors", x=np.zeros(2, np.float32))
    path, header = find_weights(folder)
    assert path == folder / "model.safetensors" and list(header) == ["x"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # A key the index names and its shard lacks.
        (lambda f: write_index(f, {"a": ONE, "b": ONE, "d": ONE, "c": TWO}), "Missing: 'd'; not"),
        # A key of a shard that the index does not name.
        (lambda f: write_index(f, {"a": ONE, "c": TWO}), f"{ONE}' must .*not expected: 'b'"),
        # A key in two shards.
        (
            lambda f: write(f / TWO, c=np.zeros(3, np.float32), a=np.zeros(3, np.float32)),
            f"{TWO}' must .* not expected: 'a'",
        ),
        # A key in the other shard than the index says.
        (lambda f: write_index(f, {"a": TWO, "b": ONE, "c": TWO}), f"{TWO}' must .* Missing: 'a'"),
        (lambda f: write_index(f, {"a": "../a.safetensors"}), "Received: '../a.safetensors' in"),
        (lambda f: write_index(f, {"a": "/tmp/a.safetensors"}), "Received: '/tmp/a.safetensors'"),
        (lambda f: write_index(f, {"a": "x\\a.safetensors"}), "plain names. Received: 'x"),
        (lambda f: write_index(f, {"a": "pytorch_model.bin"}), "Received: 'pytorch_model.bin' in"),
        (lambda f: write_index(f, {"a": ".safetensors"}), "Received: '.safetensors' in"),
        (lambda f: write_index(f, {"a": 3}), "plain names. Received: 3 in"),
        (lambda f: write_index(f, [ONE]), "`weight_map` must be an object. Received: .'model-"),
        (lambda f: (f / INDEX).write_text("{}"), "`weight_map` must be an object. Received: None"),
        (lambda f: (f / INDEX).write_text("[]"), "must hold a JSON object"),
        (lambda f: (f / INDEX).write_text('{"a":1,"a":1}'), "the key 'a' stands twice"),
        (lambda f: (f / INDEX).write_bytes(bytes(2**19 + 1)), "at most 524288 bytes.*524289"),
        (lambda f: (f / TWO).write_bytes(b"PK\3\4" + bytes(90)), f"{TWO}' is not a .*a zip archiv"),
    ],
)
def test_an_index_and_its_shards_must_agree(folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message):
        find_weights(folder)


def test_a_missing_shard_is_named(folder):
    (folder / TWO).unlink()
    with pytest.raises(FileNotFoundError, match=f"index.json', whose '{TWO}' is missing. Fetch it"):
        find_weights(folder)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(folder):
    (folder / "inner").mkdir()
    for name in (ONE, INDEX):
        shutil.move(folder / name, folder / "inner" / name)
    (folder / "inner" / TWO).symlink_to(f"../{TWO}")
    with pytest.raises(ValueError, match=f"inner/{TWO}', which leads to '.*{TWO}'"):
        find_weights(folder / "inner")


def test_a_folder_without_weights_says_what_it_has_instead(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"its shards. Received: source='{tmp_path}'.$"):
        find_weights(tmp_path)
    for name in ("tf_model.h5", "flax_model.msgpack", "notes.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(FileNotFoundError, match="which has 'flax_model.msgpack'. Pickles, HDF5"):
        find_weights(tmp_path)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        *((1, 1), (10**12, 10**12), ("5GB", 5 * 10**9), ("500MB", 5 * 10**8)),
        *(("1.5 kb", 1500), ("2TB", 2 * 10**12)),
    ],
)
def test_sizes_are_read_in_powers_of_a_thousand(given, size):
    assert parse_shard_size(given) == size


@pytest.mark.parametrize("given", [0, -3, "", "5", "GB", "5 gigabytes", "-1GB", "0KB", "1e9GB"])
def test_what_is_no_size_is_refused(given):
    with pytest.raises(ValueError, match="`shard_size` must be .*Received: shard_size=") as caught:
        parse_shard_size(given)
    assert f"shard_size={given!r}." in str(caught.value)


@pytest.mark.parametrize("given", [True, 1.5, None, ["5GB"]])
def test_a_size_of_another_type_is_refused(given):
    with pytest.raises(
        TypeError, match="`shard_size` must be an int or a str. Received: "
    ) as error:
        parse_shard_size(given)
    assert f"shard_size={given!r} of type" in str(error.value)


def test_shards_are_filled_in_order_and_none_is_too_large_but_one_of_a_single_tensor():
    sizes = {"a": 3, "b": 4, "c": 3, "d": 12, "e": 1, "f": 10}
    shards = [["a", "b", "c"], ["d"], ["e"], ["f"]]
    assert list(plan_shards(sizes, 10).values()) == shards
    assert list(plan_shards(sizes, 10)) == [
        f"model-0000{i}-of-00004.safetensors" for i in range(1, 5)
    ]
    assert plan_shards(sizes, 33) == {"model.safetensors": list(sizes)}
    for limit in range(1, 40):
        files = plan_shards(sizes, limit)
        assert [name for names in files.values() for name in names] == list(sizes)
        assert all(len(n) == 1 or sum(map(sizes.get, n)) <= limit for n in files.values())


def test_an_index_is_what_transformers_writes():
    index = make_index({"b": 3, "a": 4}, {"x": ["b"], "y": ["a"]})
    assert index == {"metadata": {"total_size": 7}, "weight_map": {"a": "y", "b": "x"}}
    assert list(index["weight_map"]) == ["a", "b"]


def test_a_folder_is_described_over_its_shards_and_without_strangers(golden, tmp_path):
    lmzoo.load(golden).save_pretrained(tmp_path / "a", shard_size="20KB")
    write(tmp_path / "a" / "adapter.safetensors", z=np.zeros(7, np.float32))
    one, many = describe(golden), describe(tmp_path / "a")
    tensors = safetensors.numpy.load_file(golden / "model.safetensors")
    assert one["num_parameters"] == sum(array.size for array in tensors.values())
    for key in ("num_parameters", "num_tensors", "memory_bytes", "dtypes"):
        assert one[key] == many[key]
