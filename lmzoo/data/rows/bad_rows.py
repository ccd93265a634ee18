"""Bad rows of a file: an error, or skipped and counted."""

import warnings

__all__ = ["BadRowError", "SkippedRows", "check_bad_rows"]


class BadRowError(ValueError):
    """One row is bad; the rows around it can be read."""


class SkippedRows:
    """Counts the skipped rows."""

    def __init__(self):
        self._count = 0
        self._first = None

    def add(self, error):
        """Counts one row.

        Args:
            error: BadRowError. Its message has the place and the reason.
        """
        self._first = self._first or str(error)
        self._count += 1

    def warn(self, stacklevel):
        """Warns of the number of skipped rows and of the first one, if there are any."""
        if self._count:
            warnings.warn(
                f"{self._count} row(s) are bad and were skipped. The first: {self._first}",
                stacklevel=stacklevel,
            )


def check_bad_rows(bad_rows):
    """Refuses everything but "error" and "skip": ValueError."""
    if bad_rows not in ("error", "skip"):
        raise ValueError(f'`bad_rows` must be "error" or "skip". Received: bad_rows={bad_rows!r}.')
