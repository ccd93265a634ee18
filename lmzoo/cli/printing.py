"""How the commands print numbers and records."""

import json

__all__ = ["format_bytes", "make_printable", "print_json", "print_record", "print_rows"]


def format_bytes(size):
    """A number of bytes as a str with its unit."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def make_printable(text):
    """A text that may go to a terminal: a stranger's control characters would steer it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def print_json(value):
    """Prints a value as JSON; what is not printable in it is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # Outside of strings only line breaks are not printable.
    print(
        "".join(
            character
            if character.isprintable() or character == "\n"
            else json.dumps(character)[1:-1]
            for character in text
        )
    )


def print_rows(rows):
    """Prints names and values side by side; a value that is None reads as none.

    Args:
        rows: iterable of (name, value). What is not printable in them reads as a question mark.
    """
    for name, value in rows:
        print(make_printable(f"{name:18} {'none' if value is None else value}"))


def print_record(record, rows, as_json):
    """Prints a record as JSON, or its rows for people.

    Args:
        record: a value that JSON can hold.
        rows: as for `print_rows`.
        as_json: bool.
    """
    if as_json:
        print_json(record)
    else:
        print_rows(rows)
