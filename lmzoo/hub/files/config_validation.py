"""Reading the fields of a foreign config: type and range are checked before anything is built."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = [
    "Field",
    "check_fixed",
    "choice_field",
    "flag_field",
    "number_field",
    "read_choice",
    "read_fields",
    "read_flag",
    "read_number",
    "read_size",
    "read_text",
    "size_field",
    "write_fields",
]


def read_size(config, name, default, highest, optional=False, lowest=1):
    """An int from `lowest` to `highest`; with `optional` also None.

    Args:
        config: dict.
        name: str. The key.
        default: what a missing key stands for.
        highest: int.
        optional: bool.
        lowest: int.
    Returns:
        int or None.
    Raises:
        ValueError: if it is anything else.
    """
    value = config.get(name, default)
    if optional and value is None:
        return None
    if type(value) is not int or not lowest <= value <= highest:
        wanted = f"an integer from {lowest} to {highest}{' or null' if optional else ''}"
        _refuse(name, value, wanted)
    return value


def read_number(config, name, default, lowest, highest):
    """A finite float from `lowest` to `highest`; otherwise as `read_size`."""
    value = config.get(name, default)
    if type(value) not in (int, float) or not lowest <= value <= highest:
        _refuse(name, value, f"a number from {lowest} to {highest}")
    return float(value)


def read_flag(config, name, default, optional=False):
    """A bool; with `optional` also None; otherwise as `read_size`."""
    value = config.get(name, default)
    if type(value) is not bool and not (optional and value is None):
        _refuse(name, value, "true, false or null" if optional else "true or false")
    return value


def read_choice(config, name, default, choices):
    """One of the strings `choices`; otherwise as `read_size`."""
    value = config.get(name, default)
    if not isinstance(value, str) or value not in choices:
        _refuse(name, value, f"one of {', '.join(choices)}")
    return value


def read_text(config, name, default, longest):
    """A string of at most `longest` characters; otherwise as `read_size`."""
    value = config.get(name, default)
    if not isinstance(value, str) or len(value) > longest:
        _refuse(name, value, f"a string of at most {longest} characters")
    return value


class Field(NamedTuple):
    """How one argument stands in a config.json.

    key: str. Its name there.
    read: callable (config, key). Returns the checked value.
    write: callable. The value -> what config.json has; KeyError if it has no word for it.
    """

    key: str
    read: Callable
    write: Callable = lambda value: value


def size_field(key, highest, default=None, lowest=1, optional=False):
    """A `Field` of `read_size`; without a default the key must be there."""
    return Field(
        key, lambda config, key: read_size(config, key, default, highest, optional, lowest)
    )


def number_field(key, lowest, highest, default=None):
    """A `Field` of `read_number`."""
    return Field(key, lambda config, key: read_number(config, key, default, lowest, highest))


def flag_field(key, default=None, optional=False):
    """A `Field` of `read_flag`."""
    return Field(key, lambda config, key: read_flag(config, key, default, optional))


def choice_field(key, default, choices):
    """A `Field` of `read_choice` whose words are translated.

    Args:
        choices: dict of word in config.json -> ours. Of several words for one of ours the first is
            written.
    """
    words = {ours: word for word, ours in reversed(choices.items())}
    return Field(
        key,
        lambda config, key: choices[read_choice(config, key, default, choices)],
        words.__getitem__,
    )


def read_fields(config, fields):
    """dict of argument -> value, for a dict of argument -> Field."""
    return {name: field.read(config, field.key) for name, field in fields.items()}


def write_fields(values, fields):
    """dict of key -> value, for an object with an attribute for each argument of the fields."""
    return {field.key: field.write(getattr(values, name)) for name, field in fields.items()}


def check_fixed(config, **wanted):
    """Refuses a config in which one of the named flags is another than the only one supported."""
    for name, only in wanted.items():
        if read_flag(config, name, only) is not only:
            raise ValueError(f"`{name}` must be {only}. Received: {name}={config[name]!r:.80}.")


def _refuse(name, value, wanted):
    raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r:.80}.")
