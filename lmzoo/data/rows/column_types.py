"""What a column of labelled text may hold: strings, numbers, and lists of either."""

import dataclasses
import re

import numpy as np

__all__ = ["ColumnType", "describe_value", "column_type_of", "plain_value"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 1 << 63


@dataclasses.dataclass(frozen=True)
class ColumnType:
    """What the values of one column have in common.

    Args:
        item: type or None. str, int or float; None is what an empty list holds.
        is_list: bool. True if a value is a list of such items.
    """

    item: type | None
    is_list: bool

    def __str__(self):
        if self.is_list:
            return "an empty list" if self.item is None else f"a list of {self.item.__name__}"
        return f"{'an' if self.item is int else 'a'} {self.item.__name__}"

    def join(self, other):
        """Returns the ColumnType of a column that has values of both kinds, or None if none may."""
        if self.is_list and other.is_list and None in (self.item, other.item):
            return ColumnType(self.item or other.item, is_list=True)
        return self if self == other else None


def plain_value(value):
    """Turns a value into the Python object that a row holds.

    NumPy scalars and arrays of one axis become Python numbers and lists, tuples become lists.

    Args:
        value: anything.
    Returns:
        str, int, float or bool, or a list of these.
    Raises:
        TypeError: if it is something else, or a list of unlike things.
        ValueError: if an integer does not fit into 64 bits, or if a string is not valid Unicode.
    """
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        items = [_plain_item(item) for item in value]
        column_type_of(items)
        return items
    return _plain_item(value)


def column_type_of(value):
    """Returns the kind of a plain value.

    Args:
        value: as `plain_value` returns it.
    Returns:
        ColumnType.
    Raises:
        TypeError: if a list holds unlike things.
    """
    if not isinstance(value, list):
        return ColumnType(_item_type(value), is_list=False)
    found = {_item_type(item) for item in value}
    if len(found) > 1:
        raise TypeError(
            "A list in a row must hold one kind of value: strings, integers or floats. "
            f"Received: {describe_value(value)}."
        )
    return ColumnType(found.pop() if found else None, is_list=True)


def describe_value(value):
    """Returns the beginning of a value as Python writes it, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _item_type(item):
    # A truth value is a number to TensorFlow, 0 or 1.
    return next(kind for kind in (str, int, float) if isinstance(item, kind))


def _plain_item(item):
    if isinstance(item, np.generic):
        item = item.item()
    if not isinstance(item, (str, int, float)):
        raise TypeError(
            "A value must be a string, a number, or a list of one of them. Received: "
            f"{describe_value(item)} ({type(item).__name__})."
        )
    if isinstance(item, int) and not -_LARGEST <= item < _LARGEST:
        raise ValueError(f"An integer must fit into 64 bits. Received: {describe_value(item)}.")
    if isinstance(item, str) and not item.isascii() and (lone := _SURROGATE.search(item)):
        raise ValueError(
            "A string must be valid Unicode. Received: a lone surrogate "
            f"{lone.group()!r} at character {lone.start()} of {describe_value(item)}."
        )
    return item
