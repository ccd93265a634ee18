"""The published models by name, and fresh backbones of their sizes.

`lmzoo.load("gpt2")` opens the published weights; `make_backbone("gpt2")` makes a backbone of the
same size with fresh weights. The table itself is in `lmzoo/hub/published.py`. Only making a
backbone needs TensorFlow.
"""

import difflib

from lmzoo.hub.published import ENTRIES, ZooEntry, find_arguments

__all__ = ["ZooEntry", "find_entry", "make_backbone", "names"]

_BACKBONES = {"CausalLM": "GPTBackbone", "Seq2SeqLM": "T5Backbone", "MaskedLM": "BertBackbone"}


def names():
    """The names that `lmzoo.load` knows.

    Returns:
        list of str, the sizes of one family side by side.
    Example:
        >>> names()[:2]
        ['bert-tiny', 'bert-mini']
    """
    return list(ENTRIES)


def find_entry(name):
    """Describes a published model.

    Args:
        name: str. One of `names()`.
    Returns:
        ZooEntry: `source`, `model_type`, `task`, `num_parameters`, `licence`, `config`, `note`.
    Raises:
        ValueError: if there is none of this name.
    Example:
        >>> find_entry("gpt2").num_parameters
        124439808
    """
    if name not in ENTRIES:
        near = difflib.get_close_matches(str(name), ENTRIES, n=3, cutoff=0.5) or list(ENTRIES)
        raise ValueError(
            f"`name` must be one of lmzoo.zoo.names(), such as {', '.join(near)}. Received: "
            f"name={name!r:.80}."
        )
    return ENTRIES[name]


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
    from lmzoo import models

    return getattr(models, _BACKBONES[entry.task])(**arguments)
