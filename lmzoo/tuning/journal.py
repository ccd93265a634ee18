"""What happened in a search, one durable line an event, from which a killed search goes on."""

import fcntl
import json
import os

__all__ = ["Journal"]

_LOCK = ".lock"
_MAX_BYTES = 256 << 20


class Journal:
    """The file `journal.jsonl` of a search, to which one process writes.

    An event is on the disk when `write` returns. A line that was cut by a kill is removed.

    Args:
        folder: pathlib.Path. Of the search.
    Attributes:
        events: list of dict. All events, oldest first.
    Raises:
        RuntimeError: if another process has the search.
        ValueError: if a line in the middle is no JSON object.
    """

    def __init__(self, folder):
        self.path = folder / "journal.jsonl"
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RuntimeError(
                f"`run_dir` must be the folder of one search at a time. Received: {str(folder)!r}, "
                "in which another process searches. Wait for it, or end it."
            ) from None
        self._file = self.path.open("a+b")
        try:
            self.events = self._read()
        except ValueError:
            self.close()
            raise

    def _read(self):
        self._file.seek(0)
        data = self._file.read(_MAX_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._file.truncate(len(whole))
        events = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                events.append(json.loads(line))
            except ValueError:
                raise ValueError(
                    f"{self.path.name} must have a JSON object in each line. Received: "
                    f"{str(self.path)!r}, line {number}: {line!r:.80}."
                ) from None
        return events

    def write(self, **event):
        """Adds an event."""
        self._file.write(json.dumps(event).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.events.append(event)

    def close(self):
        """Lets another process have the search; a second call does nothing."""
        if self._lock is not None:
            self._file.close()
            os.close(self._lock)
            self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
