"""The head of a task in config.json: its labels, its dropout, and the variables it has."""

from lmzoo.hub.families.bert import dense_shapes, norm_shapes
from lmzoo.hub.families.native import ACTIVATIONS, read_object
from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size

__all__ = [
    "head_shapes",
    "make_head_config",
    "make_label_config",
    "read_head",
    "read_head_options",
    "read_labels",
]

# The key of config.json under which lmzoo's own layouts keep the options of a head.
_NATIVE_HEAD = "lmzoo_head"
_WITH_LABELS = ("TextClassifier", "TokenClassifier")
_MOST_LABELS, _LONGEST_LABEL = 2**16, 2**10
_PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")


def read_head(family, config, task, arguments):
    """The arguments of a task's head layer.

    Args:
        family: Family.
        config: dict, the content of config.json.
        task: str. The name of a class of `lmzoo.tasks`.
        arguments: dict. Those of the backbone.
    Returns:
        dict: for "MaskedLM" of `MaskedLMHead`, for tasks with labels and for "QuestionAnswerer" of
        `ClassificationHead`; None for a task without a head layer.
    Raises:
        ValueError: if a field is of the wrong type or asks for something that the head does not do.
    """
    if task == "MaskedLM":
        if read_flag(config, "tie_word_embeddings", True) is not True:
            raise ValueError(
                "`tie_word_embeddings` must be true, as a masked language model's head here uses "
                "the embeddings. Received: tie_word_embeddings=False."
            )
        return family.masked_lm_head(config, arguments)
    options = {"hidden_activation": None, **family.head_options(arguments)}
    options |= family.heads[task].options
    if task == "QuestionAnswerer":
        return {"num_classes": 2, "dropout": 0.0, **options}
    if task not in _WITH_LABELS:
        return None
    count = len(read_labels(config))
    if family.is_native:
        return {"num_classes": count, **options, **_read_native(config)}
    head = family.heads[task]
    rate = head.dropout
    if head.dropout_key is not None and config.get(head.dropout_key, rate) is not None:
        rate = read_number(config, head.dropout_key, rate, 0, 0.999)
    if head.hidden_activation is not None:
        options["hidden_activation"] = head.hidden_activation
    rate = arguments["dropout"] if rate is None else rate
    return {"num_classes": count, "dropout": rate, **options}


def _read_native(config):
    found = read_object(config, _NATIVE_HEAD)
    activation = found.get("hidden_activation")
    if activation is not None:
        read_choice(found, "hidden_activation", None, ACTIVATIONS)
    return {
        "hidden_activation": activation,
        "dropout": read_number(found, "dropout", None, 0, 0.999),
    }


def head_shapes(head, arguments):
    """dict of path, "head/" and what follows below the head, -> shape.

    Args:
        head: dict, as `read_head` gives it, or None.
        arguments: dict. Those of the backbone.
    """
    dim = arguments["hidden_dim"]
    if head is None:
        return {}
    if "vocabulary_size" in head:
        width = arguments.get("embedding_dim") or dim
        use_bias = head.get("use_bias", True)
        shapes = dense_shapes("head/dense", dim, width, use_bias)
        shapes |= norm_shapes("head/norm", width, use_bias)
        return {**shapes, "head/bias": (head["vocabulary_size"],)}
    shapes = dense_shapes("head/output", dim, head["num_classes"], head.get("use_bias", True))
    if head["hidden_activation"] is not None:
        shapes |= dense_shapes("head/hidden", dim, dim, head.get("use_hidden_bias", True))
    if head.get("hidden_norm_epsilon") is not None:
        shapes |= norm_shapes("head/hidden_norm", dim, use_bias=False)
    return shapes


def read_labels(config):
    """The names of the classes, a list of str, in the order of their numbers.

    Raises:
        ValueError: if `id2label` does not give each of 0 to C - 1 a name of its own.
    """
    found = config.get("id2label")
    if found is None:
        count = read_size(config, "num_labels", 2, _MOST_LABELS)
        return [f"LABEL_{index}" for index in range(count)]
    numbers = [str(index) for index in range(len(found))] if isinstance(found, dict) else []
    names = [found[number] for number in numbers if number in found]
    if (
        not 1 <= len(names) <= _MOST_LABELS
        or len(names) < len(found)
        or not all(isinstance(name, str) and len(name) <= _LONGEST_LABEL for name in names)
        or len(set(names)) < len(names)
    ):
        raise ValueError(
            "`id2label` must give each number from 0 on a name of its own. Received: "
            f"id2label={found!r:.80}."
        )
    return names


def read_head_options(config, task, head):
    """What a task's constructor is told of its head, as a dict.

    Args:
        config: dict, the content of config.json.
        task: str. The name of a class of `lmzoo.tasks`.
        head: dict, as `read_head` gives it.
    Raises:
        ValueError: if there are less than two classes to sort into, or `problem_type` is unknown.
    """
    if task not in ("TextClassifier", "TokenClassifier"):
        return {}
    labels = read_labels(config)
    options = {"dropout": head["dropout"]}
    problem = None
    if task == "TextClassifier":
        options["head_activation"] = head["hidden_activation"]
        # As transformers reads a config that does not say it.
        problem = config.get("problem_type") or _PROBLEMS[2 if len(labels) == 1 else 0]
        read_choice({"problem_type": problem}, "problem_type", None, _PROBLEMS)
        if problem == "regression":
            return {**options, "num_targets": len(labels)}
        options["multi_label"] = problem == _PROBLEMS[1]
    if len(labels) < 2:
        raise ValueError(
            "`id2label` must name at least two classes. Received: "
            f"id2label={config.get('id2label')!r:.80}."
        )
    return {**options, "labels": labels}


def make_head_config(family, name, task):
    """What config.json says of a task's head, as a dict.

    Args:
        family: Family.
        name: str. The class of `lmzoo.tasks` whose head the task has.
        task: a task of `lmzoo.tasks`.
    """
    if family.is_native:
        if name not in _WITH_LABELS:
            return {}
        head = task.head
        found = {"hidden_activation": head.hidden_activation, "dropout": head.dropout}
        return {_NATIVE_HEAD: found}
    key = family.heads[name].dropout_key
    return {} if key is None else {key: task.head.dropout}


def make_label_config(task):
    """What config.json says of a task's labels, as a dict."""
    if task.num_targets is not None:
        names = [f"LABEL_{index}" for index in range(task.num_targets)]
        numbered = {str(index): name for index, name in enumerate(names)}
        return {"id2label": numbered, "problem_type": "regression"}
    if task.labels is None:
        return {}
    names = task.labels.names
    config = {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }
    if task.multi_label is not None:
        config["problem_type"] = _PROBLEMS[task.multi_label]
    return config
