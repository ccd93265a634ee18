"""In-memory rows: one list for each column."""

from lmzoo.data.checks import describe_value
from lmzoo.data.rows.column_types import column_type_of, plain_value
from lmzoo.data.rows.rows import Rows

__all__ = ["make_rows"]


def make_rows(**columns):
    """Makes rows from lists in memory.

    Args:
        **columns: list, tuple, NumPy array or Series with one value for each row.
            A value is a string, a number, or a list of strings, of integers or of floats (such as
            a one-hot label: a column may also be a NumPy array of two axes).
    Returns:
        Rows.
    Raises:
        TypeError: if a column is not a list, or if a value is something else or has another type
            than the first of its column.
        ValueError: if there is no column or no row, or if the lengths differ.
    Example:
    >>> rows = lmzoo.data.make_rows(words=[["EU", "rejects"], ["Peter"]], tags=[["B", "O"], ["B"]])
    >>> rows[1]
    {'words': ['Peter'], 'tags': ['B']}
    """
    if not columns:
        raise ValueError("`make_rows` must get at least one column. Received: none.")
    lists = {name: _plain_column(name, values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"All columns must have one length. Received: {lengths}.")
    if not any(lengths.values()):
        raise ValueError(f"There must be at least one row. Received: {lengths}.")
    return Rows(_InMemoryRows(lists))


class _InMemoryRows:
    """The source of in-memory Rows."""

    def __init__(self, lists):
        self.columns = tuple(lists)
        self._lists = lists

    def __len__(self):
        return len(self._lists[self.columns[0]])

    def row(self, index):
        values = {name: column[index] for name, column in self._lists.items()}
        # Lists are copied, so that a caller who changes a row does not change the column.
        return {name: v[:] if isinstance(v, list) else v for name, v in values.items()}

    def place(self, index):
        return f"index {index}"


def _plain_column(name, values):
    if isinstance(values, (str, bytes, dict, set)) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"`{name}` must be a list with a value for each row. Received: "
            f"{name}={describe_value(values)}."
        )
    plain, common = [], None
    for index, value in enumerate(values):
        try:
            value = plain_value(value)
        except (ValueError, TypeError) as error:
            raise type(error)(f"`{name}`, index {index}: {error}") from error
        found = column_type_of(value)
        before, common = common, found if common is None else common.join(found)
        if common is None:
            raise TypeError(
                f"`{name}` must have values of one type. Received: {describe_value(value)} at "
                f"index {index}, which is {found}, where those before are each {before}."
            )
        plain.append(value)
    return plain
