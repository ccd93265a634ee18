"""How the tensors of a file make the variables of a model, in both directions.

A file of transformers keeps query, key and value apart and its linear layers as (out, in); a model
here has one kernel (in, out) for the three. A recipe says so for one variable, and nothing is said
twice: reading, writing and the check of every shape follow it.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["Recipe", "join_tensors", "make_recipes", "split_variable", "tensor_shapes"]

# What a variable's last name becomes in a file.
_ENDINGS = {
    "kernel": "weight",
    "embeddings": "weight",
    "output_embeddings": "weight",
    "gamma": "weight",
    "scale": "weight",
    "beta": "bias",
    "bias": "bias",
}


class Recipe(NamedTuple):
    """What one variable is made of.

    names: tuple of str. The tensors that lie side by side along the variable's last axis.
    widths: tuple of int or None. How much of that axis each takes; None for equal shares.
    transposed: bool. Whether the file has the two axes of a matrix the other way round.
    """

    names: tuple
    widths: tuple | None = None
    transposed: bool = False


def make_recipes(shapes, modules, transposed=True, widths=None):
    """Names the tensors of each variable by the module of the file that holds them.

    Args:
        shapes: dict of variable path -> shape. One recipe is made for each.
        modules: dict of a layer's path, or of a variable's, -> tuple of module names.
        transposed: bool. Whether the kernels are stored (out, in), as torch's linear layers are.
        widths: dict of a layer's path -> widths of its modules where they are not equal, or None.
    Returns:
        dict of variable path -> Recipe.
    """
    recipes = {}
    for path in shapes:
        layer, _, kind = path.rpartition("/")
        found = modules[path] if path in modules else modules[layer]
        recipes[path] = Recipe(
            tuple(f"{module}.{_ENDINGS[kind]}" for module in found),
            (widths or {}).get(layer),
            transposed and kind == "kernel",
        )
    return recipes


def tensor_shapes(recipes, shapes):
    """dict of tensor name -> its shape in a file, for variables of these shapes."""
    found = {}
    for path, recipe in recipes.items():
        *others, width = shapes[path]
        for name, part in zip(recipe.names, _find_widths(recipe, width), strict=True):
            shape = (*others, part)
            found[name] = shape[::-1] if recipe.transposed else shape
    return found


def join_tensors(recipe, values, read):
    """Fills the values of a variable from its tensors.

    Args:
        recipe: Recipe.
        values: NumPy array of the variable's shape. What it holds is overwritten.
        read: callable `(name, part)`. Writes a tensor of the file into `part`, which has its shape
            and is a view of `values`: so no tensor lies beside the whole but where it is converted.
    """
    start = 0
    for name, width in zip(recipe.names, _find_widths(recipe, values.shape[-1]), strict=True):
        part = values[..., start : start + width]
        read(name, part.T if recipe.transposed else part)
        start += width


def split_variable(recipe, array):
    """dict of tensor name -> its values, for the values of a variable: views, not copies."""
    ends = np.cumsum(_find_widths(recipe, array.shape[-1]))[:-1]
    parts = np.split(array, ends, axis=-1)
    if recipe.transposed:
        parts = [part.T for part in parts]
    return dict(zip(recipe.names, parts, strict=True))


def _find_widths(recipe, width):
    if recipe.widths is not None:
        return recipe.widths
    return (width // len(recipe.names),) * len(recipe.names)
