import numpy as np
import pytest

from lmzoo.hub.tensor_mapping import (
    TensorSources,
    join_tensors,
    make_mapping,
    split_variable,
    tensor_shapes,
)

RANDOM = np.random.default_rng(14)
# A variable's shape, its sources, and the shapes of its tensors in a file.
CASES = {
    "as it is": ((5, 3), TensorSources(("a",)), [(5, 3)]),
    "transposed": ((5, 3), TensorSources(("a",), transposed=True), [(3, 5)]),
    "vector": ((5,), TensorSources(("a",)), [(5,)]),
    "fused": ((5, 6), TensorSources(("a", "b")), [(5, 3), (5, 3)]),
    "fused and transposed": (
        (5, 9),
        TensorSources(("a", "b", "c"), transposed=True),
        [(3, 5), (3, 5), (3, 5)],
    ),
    # As grouped queries are stored: four heads of two, and one for keys and for values.
    "of different widths": (
        (5, 12),
        TensorSources(("a", "b", "c"), (8, 2, 2), transposed=True),
        [(8, 5), (2, 5), (2, 5)],
    ),
    "vectors of different widths": (
        (12,),
        TensorSources(("a", "b", "c"), (8, 2, 2)),
        [(8,), (2,), (2,)],
    ),
}


def join(sources, shape, tensors):
    values = np.full(shape, np.nan)
    join_tensors(sources, values, lambda name, part: np.copyto(part, tensors[name]))
    return values


every_case = pytest.mark.parametrize(("shape", "sources", "wanted"), CASES.values(), ids=CASES)


@every_case
def test_tensors_are_joined_as_the_recipe_says(shape, sources, wanted):
    tensors = {
        name: RANDOM.normal(size=part) for name, part in zip(sources.names, wanted, strict=True)
    }
    assert tensor_shapes({"v": sources}, {"v": shape}) == {n: t.shape for n, t in tensors.items()}
    joined = join(sources, shape, tensors)
    parts = [tensors[name].T if sources.transposed else tensors[name] for name in sources.names]
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis=-1))


@every_case
def test_splitting_is_the_way_back(shape, sources, wanted):
    variable = RANDOM.normal(size=shape)
    tensors = split_variable(sources, variable)
    assert [tensors[name].shape for name in sources.names] == wanted
    again = join(sources, shape, tensors)
    np.testing.assert_array_equal(again, variable)


def test_recipes_are_named_by_the_modules_of_a_file():
    shapes = {
        "embed/embeddings": (9, 4),
        "embed/output_embeddings": (9, 4),
        "block/attention/kernel": (4, 8),
        "block/attention/bias": (8,),
        "norm/gamma": (4,),
        "norm/beta": (4,),
        "other_norm/scale": (4,),
    }
    modules = {
        "embed": ("wte",),
        "embed/output_embeddings": ("lm_head",),
        "block/attention": ("0.q", "0.k", "0.v"),
        "norm": ("ln",),
        "other_norm": ("rms",),
    }
    widths = {"block/attention": (4, 2, 2)}
    parts = tuple(f"0.{name}.weight" for name in "qkv")
    assert make_mapping(shapes, modules, widths=widths) == {
        "embed/embeddings": TensorSources(("wte.weight",)),
        "embed/output_embeddings": TensorSources(("lm_head.weight",)),
        "block/attention/kernel": TensorSources(parts, (4, 2, 2), True),
        "block/attention/bias": TensorSources(tuple(f"0.{name}.bias" for name in "qkv"), (4, 2, 2)),
        "norm/gamma": TensorSources(("ln.weight",)),
        "norm/beta": TensorSources(("ln.bias",)),
        "other_norm/scale": TensorSources(("rms.weight",)),
    }
    plain = make_mapping(shapes, modules, transposed=False)
    assert plain["block/attention/kernel"] == TensorSources(parts)
