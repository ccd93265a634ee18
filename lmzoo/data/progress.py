"""A progress bar for work that takes longer than a second, in a terminal only."""

import contextlib
import sys
import time

__all__ = ["byte_progress", "progress_bar"]

_DELAY = 1.0


def byte_progress(label, num_bytes, verbose=True):
    """As `progress_bar`, for a number of bytes; also shows their rate."""
    return progress_bar(label, num_bytes, verbose, in_bytes=True)


@contextlib.contextmanager
def progress_bar(label, total, verbose=True, in_bytes=False):
    """Shows progress and remaining time on stderr once the work takes longer than a second.

    Args:
        label: str. The name of the work.
        total: int. The number of units of work.
        verbose: bool. If False, or if stderr is no terminal, nothing is shown.
        in_bytes: bool. Whether the units are bytes.
    Yields:
        callable. Call it with the number of units done since the last call.
    """
    bar = _Bar(label, total, in_bytes)
    try:
        yield bar.advance if verbose and sys.stderr.isatty() else _ignore
    finally:
        bar.stop()


def _ignore(number):
    pass


class _Bar:
    def __init__(self, label, total, in_bytes):
        self._label = label
        self._total = total
        self._in_bytes = in_bytes
        self._done = 0
        self._begun = time.monotonic()
        self._progress = None

    def advance(self, number):
        self._done += number
        if self._progress is None and time.monotonic() - self._begun > _DELAY:
            self._start()
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)

    def stop(self):
        if self._progress is not None:
            self._progress.stop()

    def _start(self):
        from rich import console, progress

        if self._in_bytes:
            counts = [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        else:
            counts = [progress.MofNCompleteColumn()]
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            *counts,
            progress.TimeRemainingColumn(),
            console=console.Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(self._label, total=self._total)
        self._progress.start()
