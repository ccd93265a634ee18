"""What config.json says of a task here, beside what transformers knows of it."""

from lmzoo.hub.files.config_validation import (
    read_choice,
    read_flag,
    read_number,
    read_size,
    read_text,
)

__all__ = ["make_task_options", "name_task", "read_task_options"]

_KEY = "lmzoo_task"
_MOST_TOKENS = 2**24
_MOST_CHARACTERS = 2**16
_POOLING = ("choice", "auto", ("auto", "cls", "mean", "max", "last"))
# task -> option -> how it is read, with the class's own default for a file of transformers. A size
# of None is what the class makes of it.
_OPTIONS = {
    "MaskedLM": {
        "mask_rate": ("number", 0.15, 1e-6, 1 - 1e-6),
        "whole_word": ("flag", False),
        "sequence_length": ("length",),
    },
    "TextClassifier": {"pooling": _POOLING, "dropout": ("rate",), "sequence_length": ("length",)},
    "TextRegressor": {"pooling": _POOLING, "dropout": ("rate",), "sequence_length": ("length",)},
    "TokenClassifier": {"dropout": ("rate",), "sequence_length": ("length",)},
    "QuestionAnswerer": {
        "no_answer": ("flag", False),
        "no_answer_threshold": ("number", 0.0, -1e6, 1e6),
        "stride": ("size", None, 0),
        "max_question_tokens": ("size", None, 1),
        "max_answer_tokens": ("size", 30, 1),
        "sequence_length": ("length",),
    },
    "Seq2SeqLM": {
        "prefix": ("text", ""),
        "label_smoothing": ("number", 0.0, 0, 1 - 1e-6),
        "z_loss": ("number", 0.0, 0, 1e6),
        "sequence_length": ("length",),
    },
    "TextEmbedder": {
        "pooling": ("choice", "mean", ("cls", "last", "mean", "max")),
        "normalize": ("flag", True),
        "scale": ("number", 20.0, 1e-6, 1e6),
        "sequence_length": ("length",),
    },
}

for _options in _OPTIONS.values():
    _options["allow_special"] = ("tokens",)


def read_task_options(config, task, max_sequence_length):
    """The arguments of a task that config.json keeps for it.

    Args:
        config: dict, the content of config.json.
        task: str. The name of a class of `lmzoo.tasks`.
        max_sequence_length: int. The backbone's.
    Returns:
        dict of argument -> value; empty where nothing is kept.
    Raises:
        ValueError: if one is unknown, of the wrong type or out of its range.
    """
    found = config.get(_KEY, {})
    known = _OPTIONS.get(task, {})
    if not isinstance(found, dict) or found.keys() - known.keys():
        raise ValueError(
            f"`{_KEY}` must be an object with options of {task}. Received: {found!r:.80}."
        )
    return {
        name: _read_option(found, name, *known[name], longest=max_sequence_length) for name in found
    }


def _read_option(found, name, kind, default=None, *limits, longest):
    if kind == "choice":
        return read_choice(found, name, default, *limits)
    if kind == "tokens":
        return _read_tokens(found, name)
    if kind == "flag":
        return read_flag(found, name, default)
    if kind == "number":
        return read_number(found, name, default, *limits)
    if kind == "rate":
        return None if found[name] is None else read_number(found, name, None, 0, 0.999)
    if kind == "text":
        return read_text(found, name, default, _MOST_CHARACTERS)
    if kind == "length":
        return read_size(found, name, default, longest, optional=True)
    return read_size(found, name, default, _MOST_TOKENS, default is None, *limits)


def _read_tokens(found, name):
    tokens = found[name]
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(
            f"`{name}` must be a list of special tokens. Received: {name}={tokens!r:.80}."
        )
    return tokens


def name_task(task):
    """The name of the class of `lmzoo.tasks` that a task has, or that its class is made of.

    Raises:
        TypeError: if there is none.
    """
    known = (*_OPTIONS, "CausalLM")
    found = [kind.__name__ for kind in type(task).__mro__ if kind.__name__ in known]
    if not found:
        raise TypeError(
            f"`task` must be one of {', '.join(known)}, or of a class that is made of one. "
            f"Received: a {type(task).__name__}."
        )
    return found[0]


def make_task_options(task):
    """What `read_task_options` reads, as a part of config.json."""
    config = task.get_config()
    names = _OPTIONS.get(name_task(task), {})
    found = {name: config[name] for name in names}
    # Options of few models are kept where they say something.
    for name, default in (("allow_special", []), ("pooling", "auto")):
        if found.get(name) == default:
            del found[name]
    return {_KEY: found} if names else {}
