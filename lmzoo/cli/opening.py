"""How a command opens its SOURCE: checks without TensorFlow first, then a quiet import of it."""

import os
import sys

from lmzoo.startup import silent_stderr

__all__ = [
    *("check_task", "import_tensorflow", "list_generation_options", "open_task", "read_stdin"),
    "read_texts",
]

_OPTIONS = (
    "max_new_tokens temperature top_k top_p min_p repetition_penalty num_beams seed "
    "num_return_sequences"
).split()


def import_tensorflow():
    """Imports TensorFlow and lets it look for devices, without the messages of its C++ code.

    Returns:
        The module `tensorflow`.
    """
    # TensorFlow reads it once, when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        import tensorflow as tf

        # Where a driver is installed without a device, the first operation complains.
        tf.constant(0)
    return tf


def list_generation_options(arguments):
    """The options that were given; the others are left to the library."""
    given = {name: getattr(arguments, name, None) for name in _OPTIONS}
    given["stop_strings"] = arguments.stop
    return {name: value for name, value in given.items() if value is not None}


def open_task(arguments, options=None, task=None):
    """Opens SOURCE; what can be refused without TensorFlow or weights is refused before.

    Args:
        arguments: argparse.Namespace with `source`, `revision` and `dtype`, and for some commands
            `task` and `labels`.
        options: dict or None. Arguments of `lmzoo.generation.GenerationOptions` to check.
        task: str or None. The class of `lmzoo.tasks` that the command needs.
    Returns:
        A task of `lmzoo.tasks`.
    Raises:
        ValueError: if SOURCE opens as another task and its weights cannot be used for `task`.
    """
    from lmzoo.hub import describe, find_folder

    folder = find_folder(arguments.source, arguments.revision)
    own = describe(folder)["task"]
    chosen = {
        "task": getattr(arguments, "task", None),
        "labels": getattr(arguments, "labels", None),
    }
    if task is not None and task != own:
        # An embedder needs no weights beside the backbone's; a fresh head would answer at random.
        if task != "TextEmbedder" and own is not None and chosen["labels"] is None:
            raise ValueError(_describe_other_task(arguments, task, own))
        chosen["task"] = task
    import_tensorflow()
    from lmzoo.generation import GenerationOptions
    from lmzoo.hub import load

    GenerationOptions(**(options or {}))
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return load(folder, dtype=arguments.dtype, **chosen)


def check_task(arguments, task, name):
    """Raises ValueError unless a task is of the class of a name and has a tokenizer."""
    if type(task).__name__ != name:
        raise ValueError(_describe_other_task(arguments, name, type(task).__name__))
    if task.tokenizer is None:
        raise ValueError(
            "`SOURCE` must have a tokenizer to read texts. Received: "
            f"{arguments.source!r}, which has no file of a tokenizer."
        )


def _describe_other_task(arguments, name, own):
    return (
        f"`SOURCE` must be a model for this command, a {name}. Received: {arguments.source!r}, a "
        f"{own}. `lmzoo info` says what a model opens as."
    )


def read_texts(arguments):
    """The texts of the command line; `-` stands for the lines of standard input."""
    if arguments.count("-") > 1:
        raise ValueError("`-` must be given once at most. Received: - more than once.")
    texts = []
    for argument in arguments:
        if argument != "-":
            texts.append(_as_unicode(argument))
        elif whole := read_stdin():
            # Not `splitlines`, which also splits at other characters than line feeds.
            texts += [line.removesuffix("\r") for line in whole.split("\n")]
    if not texts:
        raise ValueError("Standard input must hold a line. Received: nothing.")
    return texts


def read_stdin():
    """All of standard input: str, without the newline at its end."""
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    # The newline that ends a file is not part of a text.
    return text.removesuffix("\n")


def _as_unicode(argument):
    """Bytes of an argument that are not UTF-8 become U+FFFD."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
