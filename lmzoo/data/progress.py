"""A progress bar over bytes that shows itself only where somebody waits for it."""

import contextlib
import sys
import time

__all__ = ["byte_progress"]

_PATIENCE = 1.0


@contextlib.contextmanager
def byte_progress(label, num_bytes, verbose=True):
    """Shows bytes done, speed and time left on stderr once the work takes longer than a second.

    Args:
        label: str. What is going on.
        num_bytes: int. All there is to do.
        verbose: bool. If False, or if stderr is no terminal, nothing is ever shown.
    Yields:
        callable, to be called with the number of bytes done since the last call.
    """
    bar = _Bar(label, num_bytes)
    try:
        yield bar.advance if verbose and sys.stderr.isatty() else _ignore
    finally:
        bar.stop()


def _ignore(num_bytes):
    pass


class _Bar:
    def __init__(self, label, num_bytes):
        self._label = label
        self._num_bytes = num_bytes
        self._done = 0
        self._begun = time.monotonic()
        self._progress = None

    def advance(self, num_bytes):
        self._done += num_bytes
        if self._progress is None and time.monotonic() - self._begun > _PATIENCE:
            self._start()
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)

    def stop(self):
        if self._progress is not None:
            self._progress.stop()

    def _start(self):
        from rich import console, progress

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console.Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(self._label, total=self._num_bytes)
        self._progress.start()
