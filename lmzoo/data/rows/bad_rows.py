"""Rows of a file that are not as they should be: an error, or left out and counted."""

import warnings

__all__ = ["BadRowError", "SkippedRows", "check_bad_rows"]


class BadRowError(ValueError):
    """A row is not as it should be, and the rows around it may be."""


class SkippedRows:
    """Counts the rows that were left out."""

    def __init__(self):
        self._count = 0
        self._first = None

    def add(self, error):
        """Notes one row.

        Args:
            error: BadRowError. Says where it is and why.
        """
        self._first = self._first or str(error)
        self._count += 1

    def warn(self, stacklevel):
        """Warns, if rows were left out, how many they are and of the first."""
        if self._count:
            warnings.warn(
                f"{self._count} row(s) are not as they should be and were left out. The first: "
                f"{self._first}",
                stacklevel=stacklevel,
            )


def check_bad_rows(bad_rows):
    """Raises ValueError unless it is a way to treat bad rows."""
    if bad_rows not in ("error", "skip"):
        raise ValueError(f'`bad_rows` must be "error" or "skip". Received: bad_rows={bad_rows!r}.')
