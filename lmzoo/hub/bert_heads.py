"""Which head an encoder's config.json asks for, with its labels."""

from lmzoo.hub.files.config_validation import read_choice, read_flag, read_number, read_size
from lmzoo.hub.files.task_options import name_task

__all__ = [
    "HIDDEN_ACTIVATIONS",
    "find_plain_architecture",
    "find_task",
    "fits_head",
    "make_architecture",
    "make_dropout_config",
    "make_label_config",
    "name_head",
    "read_head",
    "read_head_options",
    "read_labels",
]

_CLASSES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
# The end of a class of transformers -> the task it is here. The first of a task is written.
_TASKS = {
    "ForMaskedLM": "MaskedLM",
    "ForPreTraining": "MaskedLM",
    "ForSequenceClassification": "TextClassifier",
    "ForTokenClassification": "TokenClassifier",
    "ForQuestionAnswering": "QuestionAnswerer",
    "Model": "TextEmbedder",
}
# What transformers has between the hidden states and the last layer of a text's classifier.
HIDDEN_ACTIVATIONS = {"bert": None, "roberta": "tanh", "distilbert": "relu"}
# The last dropout of (model type, task); where there is no key, or null in it, the backbone's.
_DROPOUTS = {
    ("bert", "TextClassifier"): "classifier_dropout",
    ("bert", "TokenClassifier"): "classifier_dropout",
    ("roberta", "TextClassifier"): "classifier_dropout",
    ("roberta", "TokenClassifier"): "classifier_dropout",
    ("distilbert", "TextClassifier"): "seq_classif_dropout",
}
_DEFAULTS = {"classifier_dropout": None, "seq_classif_dropout": 0.2}
_MOST_LABELS, _LONGEST_LABEL = 2**16, 2**10
_PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")


def find_task(config):
    """The name of the class of `lmzoo.tasks` for the first of a config's `architectures`.

    Raises:
        ValueError: if it is not a class of the config's model type that is known here.
    """
    known = {_CLASSES[config["model_type"]] + end: task for end, task in _TASKS.items()}
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"`architectures` must begin with one of {', '.join(known)}. Received: "
            f"architectures={names!r:.80}."
        )
    return known[name]


def find_plain_architecture(model_type):
    """What config.json calls a backbone without a head."""
    return _CLASSES[model_type] + "Model" if model_type in _CLASSES else "TextEmbedder"


def make_architecture(model_type, task):
    """What transformers calls a task of a model type."""
    task = "TextClassifier" if task == "TextRegressor" else task
    end = next(end for end, ours in _TASKS.items() if ours == task)
    return _CLASSES[model_type] + end


def read_head(config, task, arguments):
    """The arguments of a task's head layer.

    Args:
        config: dict, the content of config.json.
        task: str. The name of a class of `lmzoo.tasks`.
        arguments: dict. Those of the backbone.
    Returns:
        dict: for "MaskedLM" of `MaskedLMHead`, for the others of `ClassificationHead`; None for
        "TextEmbedder", which has no head.
    Raises:
        ValueError: if a field is of the wrong type or asks for something that the head does not do.
    """
    model_type = config["model_type"]
    if task == "TextEmbedder":
        return None
    if task == "MaskedLM":
        if read_flag(config, "tie_word_embeddings", True) is not True:
            raise ValueError(
                "`tie_word_embeddings` must be true, as a masked language model's head here uses "
                "the embeddings. Received: tie_word_embeddings=False."
            )
        if model_type == "roberta":
            # Its head has this one whatever the feed-forward has, which may be another here.
            read_choice(config, "hidden_act", "gelu", ("gelu",))
        names = ("vocabulary_size", "activation", "norm_epsilon")
        return {name: arguments[name] for name in names}
    if task == "QuestionAnswerer":
        return {"num_classes": 2, "hidden_activation": None, "dropout": 0.0}
    return {
        "num_classes": len(read_labels(config)),
        "hidden_activation": HIDDEN_ACTIVATIONS[model_type] if task == "TextClassifier" else None,
        "dropout": _read_dropout(config, model_type, task, arguments["dropout"]),
    }


def _read_dropout(config, model_type, task, default):
    name = _DROPOUTS.get((model_type, task))
    if name is None or config.get(name, _DEFAULTS[name]) is None:
        return default
    return read_number(config, name, _DEFAULTS[name], 0, 0.999)


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


def fits_head(model_type, task):
    """Whether a model type has the head of a task.

    Args:
        model_type: str.
        task: a task of `lmzoo.tasks` on an encoder.
    """
    name, backbone = name_head(task), task.backbone
    if name == "MaskedLM":
        return model_type != "roberta" or backbone.activation == "gelu"
    if name == "TextClassifier":
        is_pooled = backbone.pooler == (model_type == "bert")
        return is_pooled and task.head.hidden_activation == HIDDEN_ACTIVATIONS[model_type]
    return True


def make_dropout_config(model_type, name, task):
    """What a model type says of the dropout of a task's head, as a dict."""
    key = _DROPOUTS.get((model_type, name))
    return {} if key is None else {key: task.head.dropout}


def name_head(task):
    """The task whose head a task has: numbers come out of the head that sorts texts."""
    name = name_task(task)
    return "TextClassifier" if name == "TextRegressor" else name


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
