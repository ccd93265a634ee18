"""How a command opens its SOURCE: checks without TensorFlow first, then a quiet import of it."""

import os

from lmzoo.startup import silent_stderr

__all__ = ["import_tensorflow", "list_generation_options", "open_task"]

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


def open_task(arguments, options):
    """Opens the model; what can be refused without TensorFlow or weights is refused before."""
    from lmzoo.hub import describe, find_folder

    folder = find_folder(arguments.source, arguments.revision)
    describe(folder)
    import_tensorflow()
    from lmzoo.generation import GenerationOptions
    from lmzoo.hub import load

    GenerationOptions(**options)
    return load(folder, dtype=arguments.dtype)
