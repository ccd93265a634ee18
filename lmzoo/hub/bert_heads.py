"""Which head an encoder's config.json asks for, with its labels."""

from lmzoo.hub.fields import read_choice, read_flag, read_number, read_size

__all__ = ["find_task", "make_architecture", "make_head_config", "read_head", "read_labels"]

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
_HIDDEN_ACTIVATIONS = {"bert": None, "roberta": "tanh", "distilbert": "relu"}
# The last dropout of (model type, task); where there is no key, or null in it, the backbone's.
_DROPOUTS = {
    ("bert", "TextClassifier"): "classifier_dropout",
    ("bert", "TokenClassifier"): "classifier_dropout",
    ("roberta", "TextClassifier"): "classifier_dropout",
    ("roberta", "TokenClassifier"): "classifier_dropout",
    ("distilbert", "TextClassifier"): "seq_classif_dropout",
    ("distilbert", "QuestionAnswerer"): "qa_dropout",
}
_DEFAULTS = {"classifier_dropout": None, "seq_classif_dropout": 0.2, "qa_dropout": 0.1}
_MOST_LABELS, _LONGEST_LABEL = 2**16, 2**10
_PROBLEMS = ("single_label_classification", "multi_label_classification")


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


def make_architecture(model_type, task):
    """What transformers calls a task of a model type."""
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
    is_text = task == "TextClassifier"
    return {
        "num_classes": 2 if task == "QuestionAnswerer" else len(read_labels(config)),
        "hidden_activation": _HIDDEN_ACTIVATIONS[model_type] if is_text else None,
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


def make_head_config(model_type, task, head, labels=None, multi_label=False):
    """What a head adds to config.json, as a dict.

    Args:
        model_type: str.
        task: str. The name of a class of `lmzoo.tasks`.
        head: dict of the head layer's arguments, or None.
        labels: list of str or None. The names of the classes.
        multi_label: bool. Whether a text may have several labels.
    """
    config = {"architectures": [make_architecture(model_type, task)]}
    dropout = _DROPOUTS.get((model_type, task))
    if dropout is not None:
        config[dropout] = head["dropout"]
    if labels is not None:
        config["id2label"] = {str(index): name for index, name in enumerate(labels)}
        config["label2id"] = {name: index for index, name in enumerate(labels)}
    if task == "TextClassifier":
        config["problem_type"] = _PROBLEMS[multi_label]
    return config
