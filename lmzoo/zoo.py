"""The published models by name, and fresh backbones of their sizes.

`lmzoo.load("gpt2")` opens the published weights; `make_backbone("gpt2")` makes a backbone of the
same size with fresh weights. Each model stands in the record of its family, in
`lmzoo/hub/families/`. Only making a backbone needs TensorFlow.
"""

import difflib

from lmzoo.hub.families import find_family
from lmzoo.hub.published import find_arguments, list_published

__all__ = ["find_entry", "make_backbone", "names"]


def names():
    """The names that `lmzoo.load` knows.

    Returns:
        list of str, the sizes of one family side by side.
    Example:
        >>> names()[:2]
        ['bert-tiny', 'bert-mini']
    """
    return list(list_published())


def find_entry(name):
    """Describes a published model.

    Args:
        name: str. One of `names()`.
    Returns:
        PublishedModel: `source`, `model_type`, `task`, `num_parameters`, `license`, `config` and
        `note`.
    Raises:
        ValueError: if there is none of this name.
    Example:
        >>> find_entry("gpt2").num_parameters
        124439808
    """
    models = list_published()
    if name not in models:
        near = difflib.get_close_matches(str(name), models, n=3, cutoff=0.5) or list(models)
        raise ValueError(
            f"`name` must be one of lmzoo.zoo.names(), such as {', '.join(near)}. Received: "
            f"name={name!r:.80}."
        )
    return models[name]


def make_backbone(name, **overrides):
    """Makes a backbone of a published size with fresh weights.

    Args:
        name: str. One of `names()`.
        overrides: arguments of the backbone to replace, such as `vocabulary_size` for another
            tokenizer, or `dtype`.
    Returns:
        A `BertBackbone`, `GPTBackbone` or `T5Backbone` of `lmzoo.models`.
    Raises:
        ValueError: if there is no model of this name, or an argument is out of its range.
        TypeError: if an argument is unknown.
    Example:
        >>> make_backbone("bert-tiny", vocabulary_size=1000).num_layers
        2
    """
    entry = find_entry(name)
    arguments = {**find_arguments(entry), **overrides}
    return find_family(entry.model_type).backbone()(**arguments)
