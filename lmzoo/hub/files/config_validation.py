"""Reading the fields of a foreign config: type and range are checked before anything is built."""

__all__ = ["read_choice", "read_flag", "read_number", "read_size", "read_text"]


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


def _refuse(name, value, wanted):
    raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r:.80}.")
