"""Column types of labelled text: strings, numbers, and lists of either."""

import dataclasses
import re

import numpy as np

from lmzoo.data.checks import describe_value

__all__ = ["ColumnType", "column_type_of", "plain_value"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 1 << 63


@dataclasses.dataclass(frozen=True)
class ColumnType:
    """The type of the values of one column.

    Args:
        item: type or None. str, int or float; None for an empty list.
        is_list: bool. True if a value is a list of such items.
    """

    item: type | None
    is_list: bool

    def __str__(self):
        if self.is_list:
            return "an empty list" if self.item is None else f"a list of {self.item.__name__}"
        return f"{'an' if self.item is int else 'a'} {self.item.__name__}"

    def join(self, other):
        """Returns the type of a column with values of both types, or None if they do not mix."""
        if self.is_list and other.is_list and None in (self.item, other.item):
            return ColumnType(self.item or other.item, is_list=True)
        return self if self == other else None


def plain_value(value):
    """Converts a value to the plain Python object that a row has.

    NumPy scalars and arrays of one axis become Python numbers and lists, tuples become lists.

    Args:
        value: anything.
    Returns:
        str, int, float or bool, or a list of these.
    Raises:
        TypeError: if it is something else, or a list of different types.
        ValueError: if an integer does not fit into 64 bits, or if a string is not valid Unicode.
    """
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        items = [_plain_item(item) for item in value]
        column_type_of(items)
        return items
    return _plain_item(value)


def column_type_of(value):
    """Returns the type of a plain value.

    Args:
        value: as `plain_value` returns it.
    Returns:
        ColumnType.
    Raises:
        TypeError: if the items of a list have different types.
    """
    if not isinstance(value, list):
        return ColumnType(_item_type(value), is_list=False)
    found = {_item_type(item) for item in value}
    if len(found) > 1:
        raise TypeError(
            "A list in a row must have items of one type: strings, integers or floats. "
            f"Received: {describe_value(value)}."
        )
    return ColumnType(found.pop() if found else None, is_list=True)


def _item_type(item):
    # A bool is an int, 0 or 1.
    return next(item_type for item_type in (str, int, float) if isinstance(item, item_type))


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
