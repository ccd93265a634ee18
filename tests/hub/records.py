"""The records of families, as tests ask them."""

import pytest

from lmzoo import tasks
from lmzoo.hub.families import find_family
from lmzoo.hub.saving import make_config as make_task_config

_TASKS = {"BertBackbone": "TextEmbedder", "GPTBackbone": "CausalLM", "T5Backbone": "Seq2SeqLM"}


def read_arguments(config):
    """The arguments of the backbone of a config.json."""
    return find_family(config["model_type"]).read_arguments(config)


def find_model_type(backbone):
    """The model type that a plain model of a backbone is written as."""
    task = getattr(tasks, _TASKS[type(backbone).__name__])(backbone)
    return make_task_config(task)[0]["model_type"]


def make_config(backbone, model_type=None):
    """The part of config.json that describes a backbone."""
    model_type = model_type or find_model_type(backbone)
    return find_family(model_type).make_config(backbone, model_type)


def assert_refused(model_type, field, value, wanted):
    """A config.json with this value is refused, in these words."""
    with pytest.raises(ValueError) as caught:
        read_arguments({"model_type": model_type, field: value})
    assert str(caught.value) == f"`{field}` must be {wanted}. Received: {field}={value!r:.80}."


def assert_argument_refused(config, name, value):
    """A native config.json whose backbone has this argument is refused by the argument's name."""
    config["lmzoo_backbone"][name] = value
    with pytest.raises(ValueError) as caught:
        read_arguments(config)
    assert str(caught.value).startswith(f"`{name}` must be ")
    assert f"Received: {name}={value!r}"[:80] in str(caught.value)
