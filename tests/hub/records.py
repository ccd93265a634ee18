"""The records of families, as tests ask them."""

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
