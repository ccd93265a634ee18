"""How the commands print numbers and records."""

import json

__all__ = ["format_bytes", "print_json", "print_rows"]


def format_bytes(size):
    """A number of bytes as a str with its unit."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def print_json(value):
    """Prints a value as JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_rows(rows):
    """Prints names and values side by side; a value that is None reads as none.

    Args:
        rows: iterable of (name, value).
    """
    for name, value in rows:
        print(f"{name:18} {'none' if value is None else value}")
