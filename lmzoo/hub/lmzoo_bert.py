"""An encoder that no layout of transformers expresses: our own arguments and our own paths."""

from lmzoo.hub.bert_heads import name_head, read_labels
from lmzoo.hub.bert_variables import MAX_SIZES
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.own_layout import (
    ACTIVATIONS,
    BACKBONE,
    check_names,
    describe_backbone,
    read_own,
)

__all__ = ["MODEL_TYPE", "make_config", "read_config"]

MODEL_TYPE = "lmzoo_bert"
_HEAD = "lmzoo_head"
_TASKS = ("MaskedLM", "TextClassifier", "TokenClassifier", "QuestionAnswerer", "TextEmbedder")
# Arguments that a folder of the first version does not have.
_ADDED = {
    "embedding_dim": None,
    "relative_attention": False,
    "num_buckets": 32,
    "max_distance": 128,
}
_MAY_BE_ZERO = ("num_segments", "position_offset")
_NUMBERS = {"norm_epsilon": (0, 1), "dropout": (0, 0.999), "initializer_range": (0, 1000)}


def make_config(task):
    """The config.json of any task on a `BertBackbone`, as a dict."""
    config = {
        "model_type": MODEL_TYPE,
        "architectures": [name_head(task)],
        BACKBONE: describe_backbone(task.backbone),
    }
    if name_head(task) in ("TextClassifier", "TokenClassifier"):
        head = task.head
        config[_HEAD] = {"hidden_activation": head.hidden_activation, "dropout": head.dropout}
    return config


def read_config(config):
    """The task's name, the arguments of `BertBackbone` and those of the head.

    Raises:
        ValueError: if an argument is missing, unknown, of the wrong type or out of its range.
    """
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    task = read_choice({"architectures": name}, "architectures", None, _TASKS)
    arguments = _read_backbone(read_own(config))
    if task == "TextEmbedder":
        return task, arguments, None
    if task == "MaskedLM":
        shared = ("vocabulary_size", "activation", "norm_epsilon")
        return task, arguments, {name: arguments[name] for name in shared}
    if task == "QuestionAnswerer":
        return task, arguments, {"num_classes": 2, "hidden_activation": None, "dropout": 0.0}
    found = read_own(config, _HEAD)
    activation = found.get("hidden_activation")
    if activation is not None:
        read_choice(found, "hidden_activation", None, ACTIVATIONS)
    dropout = read_number(found, "dropout", None, 0, 0.999)
    head = {"num_classes": len(read_labels(config)), "hidden_activation": activation}
    return task, arguments, {**head, "dropout": dropout}


def _read_backbone(found):
    found, arguments = {**_ADDED, **found}, {}
    for name, highest in MAX_SIZES.items():
        lowest = 0 if name in _MAY_BE_ZERO else 1
        optional = name == "embedding_dim"
        arguments[name] = read_size(found, name, None, highest, optional, lowest)
    for name, (lowest, highest) in _NUMBERS.items():
        arguments[name] = read_number(found, name, None, lowest, highest)
    for name in ("pooler", "relative_attention"):
        arguments[name] = read_flag(found, name, None)
    arguments["activation"] = read_choice(found, "activation", None, ACTIVATIONS)
    check_names(found, arguments, "BertBackbone")
    return arguments
