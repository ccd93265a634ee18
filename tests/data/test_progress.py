import io
import sys

import pytest

from lmzoo.data import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("patience", "verbose", "stream", "shown"),
    [
        (0.0, True, Terminal, True),
        (60.0, True, Terminal, False),
        (0.0, False, Terminal, False),
        (0.0, True, io.StringIO, False),
    ],
)
def test_a_bar_is_shown_to_who_waits_at_a_terminal(monkeypatch, patience, verbose, stream, shown):
    monkeypatch.setattr(progress, "_DELAY", patience)
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setenv("TERM", "xterm")
    with progress.byte_progress("Tokenizing", 2_000_000, verbose) as advance:
        for _ in range(4):
            advance(500_000)
    output = sys.stderr.getvalue()
    assert ("Tokenizing" in output and "2.0/2.0 MB" in output) == shown
    assert bool(output) == shown


def test_rows_are_counted_one_by_one(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("Cutting", 20) as advance:
        advance(8)
        advance(12)
    assert "Cutting" in sys.stderr.getvalue() and "20/20" in sys.stderr.getvalue()
