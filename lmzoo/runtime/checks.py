"""Checks of values out of a stranger's JSON: each returns the value or says what it must be.

A check is called with a name and a value.
"""

__all__ = [
    *("check_added_token", "check_bool", "check_id", "check_length", "check_number"),
    *("check_options", "check_string", "check_strings", "check_token_ids"),
    *("choice", "integer", "optional", "refuse", "tuple_of"),
]

# Beyond these no machine holds a model, and a stranger's number is not trusted.
_MOST_TOKENS, _MOST_IDS = 1 << 24, 1 << 24
_MOST_STRINGS, _LONGEST_STRING, _LARGEST = 100_000, 4096, 1e300


def refuse(name, rule, value):
    """Raises ValueError with the rule for a value and the value itself."""
    raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r:.80}")


def integer(most, least=0):
    """A check of ints from `least` to `most`."""

    def check(name, value):
        if type(value) is not int or not least <= value <= most:
            refuse(name, f"an int from {least} to {most}", value)
        return value

    return check


def optional(check):
    """A check of None, or of what `check` takes."""
    return lambda name, value: None if value is None else check(name, value)


def check_bool(name, value):
    """True or False."""
    if type(value) is not bool:
        refuse(name, "true or false", value)
    return value


def check_number(name, value):
    """A finite number, as a float."""
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        refuse(name, "a finite number", value)
    return float(value)


def check_string(name, value):
    """A str of valid Unicode and bounded length."""
    if not isinstance(value, str) or len(value) > _LONGEST_STRING:
        refuse(name, f"a string of at most {_LONGEST_STRING} characters", value)
    # Half of a surrogate pair, which JSON can hold as an escape, is no text.
    if any("\ud800" <= character <= "\udfff" for character in value):
        refuse(name, "valid Unicode", value)
    return value


def choice(values):
    """A check of one of `values`."""

    def check(name, value):
        if value not in values or isinstance(value, bool):
            refuse(name, f"one of {', '.join(map(repr, values))}", value)
        return value

    return check


def tuple_of(check, most=_MOST_STRINGS):
    """A check of a list of at most `most` values, each checked, as a tuple."""

    def check_all(name, value):
        if not isinstance(value, list | tuple) or len(value) > most:
            refuse(name, f"a list of at most {most}", value)
        return tuple(check(name, item) for item in value)

    return check_all


def check_token_ids(name, value):
    """A dict of tokens and their ids."""
    if not isinstance(value, dict) or len(value) > _MOST_STRINGS:
        refuse(name, f"an object of at most {_MOST_STRINGS} tokens", value)
    return {check_string(name, token): check_id(name, value[token]) for token in value}


def check_added_token(name, value):
    """A tuple of a token, its id and whether it is normalized."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        refuse(name, "lists of a token, its id and whether it is normalized", value)
    return check_string(name, value[0]), check_id(name, value[1]), check_bool(name, value[2])


def check_options(name, value):
    """Options of generation, which `GenerationOptions` checks as it checks those of a call."""
    if not isinstance(value, dict) or len(value) > 100:
        refuse(name, "an object of options", value)
    return dict(value)


check_id = integer(_MOST_IDS - 1)
check_length = integer(_MOST_TOKENS, 1)
check_strings = tuple_of(check_string)
