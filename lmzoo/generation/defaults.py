"""What a task generates with where its caller says nothing."""

import numbers

from lmzoo.generation import GenerationOptions

__all__ = ["check_defaults", "check_end_token_ids", "merge_options"]

_SAMPLING = ("temperature", "top_k", "top_p", "min_p")
_OF_TEXTS = ("stop_strings", "bad_words")


def check_defaults(defaults):
    """A dict of options, each of them one that `GenerationOptions` takes for every prompt.

    Args:
        defaults: dict, or None for none.
    Returns:
        dict of its own.
    Raises:
        TypeError: if it is no dict, or an option is unknown or of the wrong type.
        ValueError: if an option is out of its range, or has a number for each prompt.
    """
    if defaults is None:
        return {}
    if not isinstance(defaults, dict):
        raise TypeError(
            "`generation_defaults` must be a dict or None. Received: "
            f"generation_defaults={defaults!r:.80}."
        )
    for name, value in defaults.items():
        if name not in _OF_TEXTS and isinstance(value, list | tuple):
            raise ValueError(
                f"`{name}` must be one number where it is a default. Received: "
                f"{name}={value!r:.80}."
            )
    GenerationOptions(**defaults)
    # As JSON would give them back.
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()
    }


def check_end_token_ids(ids, vocabulary_size):
    """A tuple of ids, or None.

    Raises:
        TypeError: if they are not a list of ints.
        ValueError: if one is none of the vocabulary.
    """
    if ids is None:
        return None
    if not hasattr(ids, "__iter__"):
        raise TypeError(
            "`end_token_ids` must be a list of ints, or None. Received: "
            f"end_token_ids={ids!r:.80}. Write [{ids!r:.80}]."
        )
    ids = tuple(ids)
    for token in ids:
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            raise TypeError(f"`end_token_ids` must hold ints. Received: {token!r:.80}.")
        if not 0 <= token < vocabulary_size:
            raise ValueError(
                f"`end_token_ids` must be from 0 to {vocabulary_size - 1}. Received: {token}."
            )
    return tuple(map(int, ids))


def merge_options(defaults, given):
    """The options of one call: those given, and the defaults that they do not exclude.

    Beams cannot be sampled, so that either of them, when given, puts the other's default aside.

    Args:
        defaults: dict that `check_defaults` lets through.
        given: dict.
    Returns:
        dict.
    Raises:
        TypeError, ValueError: as `GenerationOptions`, of which the result is an argument.
    """
    sampling = {name: given[name] for name in _SAMPLING if name in given}
    aside = ()
    if GenerationOptions(**sampling).is_sampled:
        aside = ("num_beams",)
    elif given.get("num_beams", 1) != 1:
        aside = _SAMPLING
    return {**{name: defaults[name] for name in defaults if name not in aside}, **given}
