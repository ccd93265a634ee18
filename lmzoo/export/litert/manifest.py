"""The manifest of an exported file: what its runtime must know of the task."""

import lmzoo
from lmzoo.runtime.manifest import TASKS, Manifest, TokenizerSpec
from lmzoo.tokenizers.files.standalone import describe_tokenizer

__all__ = ["make_manifest", "name_task"]


def name_task(task):
    """The name of the class of `lmzoo.tasks` that a task is of.

    Args:
        task: object.
    Returns:
        str.
    Raises:
        TypeError: if it is of none.
    """
    for kind in type(task).__mro__:
        if kind.__name__ in TASKS and kind.__module__.startswith("lmzoo.tasks"):
            return kind.__name__
    raise TypeError(f"`task` must be one of {', '.join(TASKS)}. Received: a {type(task).__name__}.")


def make_manifest(task, quantization, max_sequence_length, generation_defaults):
    """Describes a task.

    Args:
        task: a task of `lmzoo.tasks`.
        quantization: str or None.
        max_sequence_length: int. How many tokens the exported model may read.
        generation_defaults: dict of option to value.
    Returns:
        Manifest, and the bytes of the tokenizer's file or None.
    Raises:
        TypeError: if the tokenizer has no file of its own.
        ValueError: if a name is longer than a manifest may hold.
    """
    name, spec, content = name_task(task), None, None
    model = task.get_scored_model()
    if task.tokenizer is not None:
        fields, content = describe_tokenizer(task.tokenizer)
        spec = TokenizerSpec(**fields)
    options = {key: _READERS.get(key, _read)(task, key) for key in TASKS[name]}
    if "sequence_length" in options:
        options["sequence_length"] = min(options["sequence_length"], max_sequence_length)
    manifest = Manifest(
        task=name,
        parameters=model.count_params(),
        quantization=quantization,
        vocabulary_size=model.backbone.vocabulary_size,
        max_sequence_length=max_sequence_length,
        tokenizer=spec,
        task_options=options,
        end_token_ids=tuple(task.end_token_ids) if task.is_generative else (),
        generation_defaults=generation_defaults,
        lmzoo_version=lmzoo.__version__,
    )
    return manifest, content


def _read(task, key):
    return getattr(task.get_scored_model(), key)


def _read_own(task, key):
    return getattr(task, key)


def _read_special(task, key):
    return task.tokenizer is not None and task.get_scored_model().special_tokens[key]


# How an option is read that is not an attribute of that name.
_READERS = {
    "add_start": _read_special,
    "add_end": _read_special,
    "labels": lambda task, key: task.get_scored_model().labels.names,
    "template": _read_own,
    "entailment": _read_own,
    "contradiction": _read_own,
}
