"""What an export refuses before it begins, and the sizes that nobody chose."""

import importlib.util
import pathlib
from typing import NamedTuple

from lmzoo.layers.checks import check_size
from lmzoo.runtime.generation.merging import check_defaults, merge_options

__all__ = [
    *("Sizes", "check_dtype", "check_options", "check_packages", "check_path"),
    *("check_scored_model", "choose_sizes"),
]

_SUFFIXES = (".tflite", ".litertlm")
# Where nobody chooses: the longest cache, the lengths of prefills, and shorter caches.
_LONGEST, _PREFILLS, _WINDOWS = 2048, (8, 32, 128), (128, 256, 512, 768)


class Sizes(NamedTuple):
    """The sizes of an exported file.

    Attributes:
        batch_size, sequence_length: int or None. Of a discriminative task.
        max_sequence_length: int. The tokens of a text.
        num_slots: int. Of the cache.
        prefill_lengths, decode_windows: tuple of int, ascending.
    """

    batch_size: object = None
    sequence_length: object = None
    max_sequence_length: int = 0
    num_slots: int = 0
    prefill_lengths: tuple = ()
    decode_windows: tuple = ()


def check_path(path, overwrite, task):
    """Refuses a path whose suffix is not for the task, and one where something is.

    Returns:
        pathlib.Path.
    Raises:
        FileExistsError: if it exists and `overwrite` is False, or is a folder.
        ValueError: if the suffix is wrong.
    """
    path = pathlib.Path(path)
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"`path` must end in {' or '.join(_SUFFIXES)}. Received: path={str(path)!r}."
        )
    is_decoder = task.is_generative and not task.is_encoder_decoder
    if path.suffix == ".litertlm" and not (is_decoder and task.tokenizer is not None):
        what = type(task).__name__ + (" without a tokenizer" if task.tokenizer is None else "")
        raise ValueError(
            "`path` must end in .tflite but for a CausalLM with a tokenizer. Received: "
            f"path={str(path)!r} for a {what}."
        )
    if path.is_dir():
        raise FileExistsError(f"`path` must not be a folder. Received: path={str(path)!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"`path` must be new. Received: path={str(path)!r}, which exists. Pass overwrite=True "
            "to replace it."
        )
    return path


def check_packages(path, evaluation_data):
    """Raises ImportError where a package of the extra `litert` is needed and not installed."""
    needed = {
        "litert_lm_builder": path.suffix == ".litertlm",
        "ai_edge_litert": evaluation_data is not None,
    }
    for name, is_needed in needed.items():
        if is_needed and importlib.util.find_spec(name) is None:
            raise ImportError(
                f"This export needs {name.replace('_', '-')}, which is not installed. Received: "
                f"path={path.name!r}. Run `pip install 'lmzoo[litert]'`."
            )


def check_scored_model(task):
    """The task that computes the scores of a task.

    Raises:
        ValueError: if a task that is not generative asks a language model.
    """
    model = task.get_scored_model()
    if model.is_generative and not task.is_generative:
        raise ValueError(
            f"`task` must ask a classifier to be exported for LiteRT. Received: a "
            f"{type(task).__name__} of a {type(model).__name__}. Export the {type(model).__name__}."
        )
    return model


def check_dtype(task):
    """Raises ValueError unless a task computes in float32."""
    if task.backbone.compute_dtype != "float32":
        raise ValueError(
            "A task must compute in float32 to be exported for LiteRT, whose kernels do. Received: "
            f"dtype={task.backbone.dtype_policy.name!r}. Open it with `lmzoo.load(folder, "
            "dtype='float32')`; `quantization` makes the file smaller."
        )


def check_options(task, options):
    """The generation defaults of a file: those of the task, changed by options of the caller.

    Raises:
        TypeError: if the task does not generate, or an option is unknown.
        ValueError: if an option is out of its range.
    """
    if task.is_generative:
        return merge_options(task.generation_defaults, check_defaults(options))
    if options:
        raise TypeError(
            f"{type(task).__name__} does not generate, so it is exported without options. "
            f"Received: {', '.join(options)}."
        )
    return {}


def choose_sizes(task, **sizes):
    """Checks the sizes that were chosen and chooses the others.

    Args:
        task: the task.
        **sizes: the arguments of `export_litert` of these names.
    Returns:
        Sizes.
    Raises:
        TypeError: if a size is not an int.
        ValueError: if one is not positive or beyond the model's context, or is not for this kind of
            task.
    """
    own = ("max_sequence_length", "prefill_lengths", "decode_windows")
    if not task.is_generative:
        own = ("batch_size", "sequence_length")
    elif task.is_encoder_decoder:
        own = ("max_sequence_length", "decode_windows")
    for name, value in sizes.items():
        if value is not None and name not in own:
            raise ValueError(
                f"`{name}` must be None for a {type(task).__name__}. Received: {name}={value!r}."
            )
    if not task.is_generative:
        return _choose_token_sizes(task, sizes["batch_size"], sizes["sequence_length"])
    return _choose_cache_sizes(task, *(sizes[name] for name in sizes if name not in _TOKEN_SIZES))


_TOKEN_SIZES = ("batch_size", "sequence_length")


def _choose_token_sizes(task, batch_size, sequence_length):
    longest = task.backbone.max_sequence_length
    check_size(batch_size=batch_size, sequence_length=sequence_length)
    _check_most("sequence_length", sequence_length or 1, longest)
    return Sizes(batch_size, sequence_length, sequence_length or longest)


def _choose_cache_sizes(task, max_sequence_length, prefill_lengths, decode_windows):
    longest = task.max_sequence_length
    check_size(max_sequence_length=max_sequence_length)
    _check_most("max_sequence_length", max_sequence_length or 1, longest)
    length = min(longest, _LONGEST) if max_sequence_length is None else max_sequence_length
    prefills = ()
    if not task.is_encoder_decoder:
        prefills = _check_lengths("prefill_lengths", prefill_lengths, _PREFILLS, length) or (
            length,
        )
    # A padded chunk at the end of the longest prompt must not reach beyond the cache.
    num_slots = length + max(prefills, default=0)
    windows = _check_lengths("decode_windows", decode_windows, _WINDOWS, num_slots - 1)
    return Sizes(None, None, length, num_slots, prefills, windows)


def _check_lengths(name, lengths, usual, most):
    """Ascending lengths; where None are given, the usual ones that are not too long."""
    if lengths is None:
        return tuple(length for length in usual if length <= most)
    for length in lengths:
        check_size(**{name: length})
        _check_most(name, length, most)
    return tuple(sorted(set(lengths)))


def _check_most(name, value, most):
    if value > most:
        raise ValueError(f"`{name}` must be at most {most}. Received: {name}={value}.")
