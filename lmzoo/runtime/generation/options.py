"""Options of `generate`, checked."""

import dataclasses
import numbers
import random

import numpy as np

__all__ = ["NUMBERS", "GenerationOptions", "differs"]

# name -> (type, lowest, whether the lowest itself is allowed, highest)
_RANGES = {
    "max_new_tokens": (int, 0, True, None),
    "min_new_tokens": (int, 0, True, None),
    "temperature": (float, 0, True, None),
    "top_k": (int, 0, True, None),
    "top_p": (float, 0, False, 1),
    "min_p": (float, 0, True, 1),
    "repetition_penalty": (float, 0, False, None),
    "presence_penalty": (float, None, True, None),
    "length_penalty": (float, None, True, None),
    "seed": (int, None, True, None),
}
# The type of each option that is a number and may be another one for each prompt.
NUMBERS = {name: kind for name, (kind, *_) in _RANGES.items()}
_LARGEST_INT, _LARGEST_FLOAT = 2**31 - 1, float(np.finfo("float32").max)


# Rows a prompt may become, and what strings may be: beyond this no machine serves them, and a
# model's folder is not trusted to ask for it.
_MOST_ROWS = 1024
# name -> (how many, how many bytes each)
_MOST_STRINGS = {"stop_strings": (128, 512), "bad_words": (4096, 512)}


@dataclasses.dataclass(frozen=True)
class GenerationOptions:
    """How `generate` selects tokens and when a text ends.

    A number may be a list with one for each prompt, except where a type below says otherwise.

    Args:
        max_new_tokens: int. At most so many tokens a prompt; the model's context may end before.
        min_new_tokens: int. No end token before so many.
        temperature: float or None. 0 takes the likeliest token; None is 1 where `top_k`, `top_p` or
            `min_p` ask for sampling and else 0.
        top_k: int. Sample among the k likeliest tokens; 0 for all.
        top_p: float in (0, 1]. Sample among the likeliest tokens that together reach p.
        min_p: float in [0, 1]. Leave out tokens below this share of the likeliest.
        repetition_penalty: float above 0. Divides the logits of tokens seen; 1 for off.
        presence_penalty: float. Subtracted from the logits of tokens generated; 0 for off.
        no_repeat_ngram_size: int. No n-gram of this size comes twice; 0 for off.
        num_beams: int. Beam search with so many beams if above 1; at most 1,024.
        length_penalty: float. Beam scores are divided by length to this power.
        early_stopping: bool or "never". When beam search may stop, as transformers defines it.
        num_return_sequences: int. Results for each prompt, at most 1,024. Above 1 needs sampling or
            as many beams.
        stop_strings: str or list of str. A text ends before the first of them. At most 128 of 512
            bytes each.
        bad_words: str or list of str. The tokens of such a word never come: neither at the start of
            a text nor behind a space nor inside another word. A word that is part of a larger
            token, or written in other tokens than the tokenizer's, is not found. At most 4,096 of
            512 bytes each.
        seed: int or None. The same seed gives the same texts; None draws one from Python's
            `random`, which `keras.utils.set_random_seed` sets. A list gives each prompt its own
            draw, whatever stands beside it.
    Raises:
        ValueError: if a number is out of its range or options exclude each other.
        TypeError: if something is not a number.
    """

    max_new_tokens: object = 64
    min_new_tokens: object = 0
    temperature: object = None
    top_k: object = 0
    top_p: object = 1.0
    min_p: object = 0.0
    repetition_penalty: object = 1.0
    presence_penalty: object = 0.0
    no_repeat_ngram_size: int = 0
    num_beams: int = 1
    length_penalty: object = 1.0
    early_stopping: object = False
    num_return_sequences: int = 1
    stop_strings: object = ()
    bad_words: object = ()
    seed: object = None

    def __post_init__(self):
        for name in _RANGES:
            value = getattr(self, name)
            if value is None and name in ("temperature", "seed"):
                continue
            for number in _list_of(value):
                _check_number(name, number)
        for name, lowest in (
            ("no_repeat_ngram_size", 0),
            ("num_beams", 1),
            ("num_return_sequences", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < lowest:
                raise ValueError(
                    f"`{name}` must be an integer of at least {lowest}. Received: {name}={value!r}."
                )
            if lowest and value > _MOST_ROWS:
                raise ValueError(
                    f"`{name}` must be at most {_MOST_ROWS}. Received: {name}={value}."
                )
        if not (isinstance(self.early_stopping, bool) or self.early_stopping == "never"):
            raise ValueError(
                "`early_stopping` must be True, False or 'never'. "
                f"Received: early_stopping={self.early_stopping!r}."
            )
        if self.num_beams > 1 and self.is_sampled:
            raise ValueError(
                "`num_beams` above 1 takes the likeliest texts and cannot be sampled. Received: "
                f"num_beams={self.num_beams}, temperature={self.temperature!r}, "
                f"top_k={self.top_k!r}, top_p={self.top_p!r}, min_p={self.min_p!r}. "
                "Leave either out."
            )
        if 1 < self.num_beams < self.num_return_sequences:
            raise ValueError(
                "`num_return_sequences` must not exceed `num_beams`. Received: "
                f"num_return_sequences={self.num_return_sequences}, num_beams={self.num_beams}."
            )
        if self.num_return_sequences > 1 and self.num_beams == 1 and not self.is_sampled:
            raise ValueError(
                "`num_return_sequences` above 1 needs sampling or beams, as there is one likeliest "
                f"text. Received: num_return_sequences={self.num_return_sequences}, num_beams=1, "
                f"temperature={self.temperature!r}. Set `temperature` or `num_beams`."
            )
        for name in ("stop_strings", "bad_words"):
            # One form, whatever the caller wrote: it is a part of the key of a traced graph.
            object.__setattr__(self, name, _make_strings(name, getattr(self, name)))

    @property
    def is_sampled(self):
        """Whether any row may be drawn rather than taken."""
        temperatures = _list_of(self.temperature)
        if temperatures == [None]:
            narrowed = (self.top_k, 0), (self.top_p, 1), (self.min_p, 0)
            return any(value != off for values, off in narrowed for value in _list_of(values))
        return any(temperatures)

    def list_numbers(self, name, batch_size):
        """The numbers of an option, one for each prompt.

        Args:
            name: str. An option that may have a number for each prompt.
            batch_size: int.
        Returns:
            list of int or float.
        Raises:
            ValueError: if a list has not one number for each prompt.
        """
        value = getattr(self, name)
        if name == "temperature" and value is None:
            value = 1.0 if self.is_sampled else 0.0
        if name == "seed" and value is None:
            value = random.getrandbits(31)
        values = _list_of(value)
        if isinstance(value, (list, tuple)) and len(values) != batch_size:
            raise ValueError(
                f"`{name}` must be one number or one for each prompt. Received: {len(values)} "
                f"numbers for {batch_size} prompts."
            )
        values = values if len(values) == batch_size else values * batch_size
        if name == "seed":
            return [_fold_seed(seed) for seed in values]
        if NUMBERS[name] is int:
            # TensorFlow would take the low bits of a larger number.
            return [min(int(value), _LARGEST_INT) for value in values]
        return [float(value) for value in values]


def _make_strings(name, value):
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"`{name}` must be a string or a list of strings. Received: {name}={value!r:.80}."
        )
    most, longest = _MOST_STRINGS[name]
    if len(value) > most:
        raise ValueError(
            f"`{name}` must hold at most {most} strings. Received: {len(value)} strings."
        )
    for text in value:
        if not isinstance(text, str) or not text:
            raise ValueError(
                f"`{name}` must hold strings that are not empty. Received: {text!r:.80}."
            )
        try:
            num_bytes = len(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(
                f"`{name}` must hold valid Unicode. Received: {text!r:.80}, with a lone surrogate."
            ) from error
        if num_bytes > longest:
            raise ValueError(
                f"`{name}` must hold strings of at most {longest} bytes. Received: {text!r:.40}, "
                f"{num_bytes} bytes."
            )
    # Said twice, one would be looked for twice.
    return tuple(dict.fromkeys(value))


def _list_of(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def differs(value, off):
    """Whether an option, one number or a list of them, has another one than `off`."""
    return any(number != off for number in _list_of(value))


def _fold_seed(seed):
    """Any integer into 32 signed bits."""
    return (int(seed) + 2**31) % 2**32 - 2**31


def _check_number(name, value):
    dtype, lowest, inclusive, highest = _RANGES[name]
    kind = numbers.Integral if dtype is int else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = "an integer" if dtype is int else "a number"
        raise TypeError(f"`{name}` must be {wanted} (or a list). Received: {name}={value!r}.")
    too_low = lowest is not None and (value < lowest or (value == lowest and not inclusive))
    # What float32 holds: a temperature beyond it would leave no logit that is a number.
    is_number = dtype is int or abs(value) <= _LARGEST_FLOAT
    if too_low or not is_number or (highest is not None and value > highest):
        span = _describe_range(dtype, lowest, inclusive, highest)
        raise ValueError(f"`{name}` must be {span}. Received: {name}={value}.")


def _describe_range(dtype, lowest, inclusive, highest):
    if highest is not None:
        return f"in {'[' if inclusive else '('}{lowest}, {highest}]"
    parts = ["finite"] if dtype is float else []
    if lowest is not None:
        parts.append(f"{'at least' if inclusive else 'above'} {lowest}")
    return " and ".join(parts)
