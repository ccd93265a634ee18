"""How a command opens its SOURCE: without TensorFlow first, then in silence."""

from lmzoo.cli.quiet import import_tensorflow

__all__ = ["list_generation_options", "open_task"]

_OPTIONS = (
    "max_new_tokens temperature top_k top_p min_p repetition_penalty num_beams seed "
    "num_return_sequences"
).split()


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
