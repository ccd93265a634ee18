import numpy as np
import pytest

from lmzoo.hub.tensor_mapping import (
    Recipe,
    join_tensors,
    make_recipes,
    split_variable,
    tensor_shapes,
)

RANDOM = np.random.default_rng(14)
# A variable's shape, its recipe, and the shapes of its tensors in a file.
CASES = {
    "as it is": ((5, 3), Recipe(("a",)), [(5, 3)]),
    "transposed": ((5, 3), Recipe(("a",), transposed=True), [(3, 5)]),
    "vector": ((5,), Recipe(("a",)), [(5,)]),
    "fused": ((5, 6), Recipe(("a", "b")), [(5, 3), (5, 3)]),
    "fused and transposed": (
        (5, 9),
        Recipe(("a", "b", "c"), transposed=True),
        [(3, 5), (3, 5), (3, 5)],
    ),
    # As grouped queries are stored: four heads of two, and one for keys and for values.
    "of different widths": (
        (5, 12),
        Recipe(("a", "b", "c"), (8, 2, 2), transposed=True),
        [(8, 5), (2, 5), (2, 5)],
    ),
    "vectors of different widths": ((12,), Recipe(("a", "b", "c"), (8, 2, 2)), [(8,), (2,), (2,)]),
}


def join(recipe, shape, tensors):
    values = np.full(shape, np.nan)
    join_tensors(recipe, values, lambda name, part: np.copyto(part, tensors[name]))
    return values


every_case = pytest.mark.parametrize(("shape", "recipe", "wanted"), CASES.values(), ids=CASES)


@every_case
def test_tensors_are_joined_as_the_recipe_says(shape, recipe, wanted):
    tensors = {
        name: RANDOM.normal(size=part) for name, part in zip(recipe.names, wanted, strict=True)
    }
    assert tensor_shapes({"v": recipe}, {"v": shape}) == {n: t.shape for n, t in tensors.items()}
    joined = join(recipe, shape, tensors)
    parts = [tensors[name].T if recipe.transposed else tensors[name] for name in recipe.names]
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis=-1))


@every_case
def test_splitting_is_the_way_back(shape, recipe, wanted):
    variable = RANDOM.normal(size=shape)
    tensors = split_variable(recipe, variable)
    assert [tensors[name].shape for name in recipe.names] == wanted
    again = join(recipe, shape, tensors)
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
    assert make_recipes(shapes, modules, widths=widths) == {
        "embed/embeddings": Recipe(("wte.weight",)),
        "embed/output_embeddings": Recipe(("lm_head.weight",)),
        "block/attention/kernel": Recipe(parts, (4, 2, 2), True),
        "block/attention/bias": Recipe(tuple(f"0.{name}.bias" for name in "qkv"), (4, 2, 2)),
        "norm/gamma": Recipe(("ln.weight",)),
        "norm/beta": Recipe(("ln.bias",)),
        "other_norm/scale": Recipe(("rms.weight",)),
    }
    plain = make_recipes(shapes, modules, transposed=False)
    assert plain["block/attention/kernel"] == Recipe(parts)
