"""Reading and writing many variables; what a file must hold is tested with the models that do."""

import tracemalloc

import keras
import numpy as np
import pytest
import safetensors.numpy

from lmzoo.hub.files.shards import find_weights
from lmzoo.hub.files.weights import check_weights, read_weights, write_weights
from lmzoo.hub.tensor_mapping import TensorSources, tensor_shapes

COUNT, ROWS, WIDTH = 12, 300, 900
SHAPES = {f"v{index}": (ROWS, WIDTH) for index in range(COUNT)}
MAPPING = {
    path: TensorSources(tuple(f"{path}.{part}" for part in "qkv"), transposed=True)
    for path in SHAPES
}


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(15)
    tensors = {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in tensor_shapes(MAPPING, SHAPES).items()
    }
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    return tmp_path


def make_variables(dtype="float32"):
    return {path: keras.Variable(np.zeros(shape), dtype=dtype) for path, shape in SHAPES.items()}


def test_reading_and_writing_hold_one_variable_at_a_time_and_give_the_bytes_back(folder, tmp_path):
    path, header = find_weights(folder)
    found = {name: name for name in header}
    check_weights(path, header, found, MAPPING, SHAPES)
    variables = make_variables()
    whole, one = COUNT * 4 * ROWS * WIDTH, 4 * ROWS * WIDTH
    tracemalloc.start()
    try:
        read_weights(header, found, MAPPING, variables)
        _, peak = tracemalloc.get_traced_memory()
        # What is read becomes the variables' own memory; beside it are the parts of one.
        assert peak < whole + 1.5 * one < 1.3 * whole
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        (tmp_path / "again").mkdir()
        write_weights(tmp_path / "again", MAPPING, variables, shard_size=10**9)
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < 1.5 * one
    finally:
        tracemalloc.stop()
    assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_part_that_overflows_the_variables_is_refused_by_its_name(folder):
    path, header = find_weights(folder)
    tensors = safetensors.numpy.load_file(path)
    tensors["v3.k"][5, 7] = 1e6
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})
    found = {name: name for name in header}
    with pytest.raises(ValueError, match="'v3.k' in .* must fit `dtype`. Received: 1e.06 for flo"):
        read_weights(header, found, MAPPING, make_variables("float16"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_variable_owns_what_it_was_given(folder, dtype):
    _, header = find_weights(folder)
    variables = make_variables(dtype)
    read_weights(header, {name: name for name in header}, MAPPING, variables)
    variable = variables["v0"]
    before = variable.numpy().astype("float64")
    for _ in range(3):
        variable.assign_add(keras.ops.ones_like(variable))
    np.testing.assert_allclose(variable.numpy().astype("float64"), before + 3, rtol=0.02, atol=0.02)
    assert np.array_equal(variables["v1"].numpy()[0], make_one(header, dtype))


def make_one(header, dtype):
    """The first row of v1: query, key and value beside each other."""
    tensors = safetensors.numpy.load_file(header["v1.q"].path)
    row = np.concatenate([tensors[f"v1.{part}"][:, 0] for part in "qkv"])
    return row.astype(keras.ops.zeros((), dtype).numpy().dtype)
