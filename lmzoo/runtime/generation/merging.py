"""The options of one call, merged with the defaults of a task."""

import dataclasses
import difflib

from .options import GenerationOptions

__all__ = ["check_defaults", "merge_options"]

_OF_TEXTS = ("stop_strings", "bad_words")
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")
# What other libraries call an option, and what to say here.
_ELSEWHERE = {
    "max_length": "`max_new_tokens`, which does not count the prompt",
    "max_tokens": "`max_new_tokens`",
    "min_length": "`min_new_tokens`, which does not count the prompt",
    "do_sample": "`temperature`: 1.0 samples, 0 takes the likeliest token",
    "eos_token_id": "the task's attribute `end_token_ids`, a list",
    "stop_token_ids": "the task's attribute `end_token_ids`, a list",
    "stop": "`stop_strings`",
    "bad_words_ids": "`bad_words`, a list of str",
    "n": "`num_return_sequences`",
    "beam_width": "`num_beams`",
    "strip_prompt": "`return_prompt=False`",
    "return_full_text": "`return_prompt`",
    "skip_special_tokens": "nothing: special tokens are never in a text",
    "pad_token_id": "nothing: the tokenizer says it",
    "bos_token_id": "nothing: the tokenizer says it",
}


def merge_options(defaults, given):
    """The options of one call: those given, and the defaults that they do not exclude.

    Beam search cannot be sampled. So beams that are given put default sampling aside, and sampling
    that is given puts default beams aside.

    Args:
        defaults: dict of options.
        given: dict of options.
    Returns:
        dict.
    Raises:
        TypeError, ValueError: as `GenerationOptions`, and if an option is unknown.
    """
    _check_names(given)
    sampling = {name: given[name] for name in _SAMPLING if name in given}
    aside = ()
    if GenerationOptions(**sampling).is_sampled:
        aside = ("num_beams",)
    elif given.get("num_beams", 1) != 1:
        aside = _SAMPLING
    return {**{name: defaults[name] for name in defaults if name not in aside}, **given}


def _check_names(options):
    """Refuses unknown options, and says what they are called here.

    Args:
        options: iterable of str.
    Raises:
        TypeError: if one is no field of `GenerationOptions`.
    """
    known = [field.name for field in dataclasses.fields(GenerationOptions)]
    for name in options:
        if name in known:
            continue
        if name in _ELSEWHERE:
            hint = f"Use {_ELSEWHERE[name]}."
        else:
            near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5) or known
            hint = f"Did you mean {', '.join(f'`{word}`' for word in near)}?"
        raise TypeError(f"`{name:.60}` is no option of generation. {hint}")


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
    _check_names(defaults)
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
