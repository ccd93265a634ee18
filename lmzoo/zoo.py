"""The models by name, those that come with lmzoo and published ones, and backbones of their sizes.

`lmzoo.load("code-tagger")` opens a small model that comes with lmzoo: a folder of `saved_models/`.
`lmzoo.load("gpt2")` opens published weights; each published model stands in the record of its
family, in `lmzoo/hub/families/`. `make_backbone("gpt2")` makes a backbone of the same size with
fresh weights. Only making a backbone needs TensorFlow.
"""

import difflib

from lmzoo.hub.families import find_family
from lmzoo.hub.published import find_arguments, list_published
from lmzoo.hub.trained import list_trained

__all__ = ["find_entry", "make_backbone", "names"]


def names():
    """The names that `lmzoo.load` knows.

    Returns:
        list of str: the trained models that come with lmzoo, then the published ones, the sizes
        of one family side by side.
    Example:
        >>> "gpt2" in names()
        True
    """
    return list(_list_all())


def _list_all():
    published = list_published()
    # A published name keeps its meaning.
    trained = {name: model for name, model in list_trained().items() if name not in published}
    return trained | published


def find_entry(name):
    """Describes a model.

    Args:
        name: str. One of `names()`.
    Returns:
        PublishedModel or TrainedModel, both with `source`, `model_type`, `task`, `num_parameters`,
        `license`, `config` and `note`. One that comes with lmzoo also has `num_bytes` and `score`.
    Raises:
        ValueError: if there is none of this name.
    Example:
        >>> find_entry("gpt2").num_parameters
        124439808
    """
    models = _list_all()
    if name not in models:
        near = difflib.get_close_matches(str(name), models, n=3, cutoff=0.5) or list(models)
        raise ValueError(
            f"`name` must be one of lmzoo.zoo.names(), such as {', '.join(near)}. Received: "
            f"name={name!r:.80}."
        )
    return models[name]


def make_backbone(name, **overrides):
    """Makes a backbone of a model's size with fresh weights.

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
