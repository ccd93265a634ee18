"""Refusing numbers and text that cannot work, and showing values that may be very large."""

import numbers

__all__ = ["check_at_least", "check_unicode", "describe_value"]

_LONGEST = 80


def check_at_least(least, **numbers_by_name):
    """Refuses numbers that are not integers of at least `least`.

    Raises:
        ValueError: if one is not. The message has its name.
    """
    for name, number in numbers_by_name.items():
        if not isinstance(number, numbers.Integral) or number < least:
            raise ValueError(
                f"`{name}` must be an integer of at least {least}. Received: "
                f"{name}={describe_value(number)}."
            )


def check_unicode(name, text):
    """Refuses text that cannot be encoded: Python's str may hold half of a surrogate pair.

    Args:
        name: str. What the message calls it.
        text: str.
    Returns:
        str, `text`.
    Raises:
        ValueError: if it holds a lone surrogate.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"`{name}` must hold valid Unicode. Received: {text!r:.80}, with a lone surrogate."
        )
    return text


def describe_value(value):
    """Returns the first 80 characters of a value's repr, for an error message.

    The repr is not computed beyond them: the value may come from a file and be very large.
    """
    text = ""
    for part in _parts_of_repr(value):
        text += part
        if len(text) > _LONGEST:
            return f"{text[: _LONGEST - 3]}..."
    return text


def _parts_of_repr(value):
    if type(value) in (list, tuple):
        yield "[" if type(value) is list else "("
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _parts_of_repr(item)
        yield "]" if type(value) is list else ",)" if len(value) == 1 else ")"
    elif type(value) is dict:
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield ", " if number else ""
            yield from _parts_of_repr(key)
            yield ": "
            yield from _parts_of_repr(item)
        yield "}"
    elif isinstance(value, str | bytes):
        yield repr(value[: _LONGEST + 1])
    elif type(value) is int and value.bit_length() > 1000:
        yield f"an integer of {value.bit_length()} bits"
    else:
        yield repr(value)
