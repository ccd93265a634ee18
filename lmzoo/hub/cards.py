"""A model's card, README.md, which anybody may have written, and its licence."""

import re
import shutil

__all__ = ["FILES", "copy_card", "read_licence"]

FILES = ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.txt")
_LARGEST_FILE = 16 << 20
# The header stands at the top. That of the largest published cards is some kilobytes.
_LONGEST_HEADER = 64 << 10
_LONGEST_LICENCE = 100
_LINE = re.compile(r"(license|license_name):[ \t]*(.*)")


def read_licence(folder):
    """What the card says of the licence.

    The header between two lines of three dashes is YAML, of which this reads the one line it needs:
    `license: mit`, or a list of names on that line or below it. Where it says "other", the name
    that the card has for it is added.

    Args:
        folder: pathlib.Path. A model's folder.
    Returns:
        str, or None where there is no card or it does not say.
    """
    path = folder / "README.md"
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        text = file.read(_LONGEST_HEADER).decode("utf-8", "replace")
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return None
    header = []
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        header.append(line)
    else:
        return None
    found = {}
    for index, line in enumerate(header):
        match = _LINE.fullmatch(line.rstrip())
        if match and match[1] not in found:
            found[match[1]] = _read_names(match[2], header[index + 1 :])
    names = found.get("license", [])
    if names == ["other"]:
        names = [*names, *found.get("license_name", [])]
    return ", ".join(names)[:_LONGEST_LICENCE] or None


def copy_card(folder, new):
    """Copies the card and the licence's text, unchanged, as most licences ask for.

    Args:
        folder: pathlib.Path. A model's folder, whose files have been checked.
        new: pathlib.Path. The folder to copy into.
    Raises:
        ValueError: if one is larger than any card.
    """
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ValueError(
                f"{name} must have at most {_LARGEST_FILE} bytes. Received: {str(path)!r}, which "
                f"has {size}."
            )
        shutil.copyfile(path, new / name)


def _read_names(value, following):
    """The names on a line and, where it has none, in the list below it."""
    value = value.split(" #")[0].strip()
    if value.startswith("[") and value.endswith("]"):
        items = value[1:-1].split(",")
    elif value:
        items = [value]
    else:
        items = []
        for line in following:
            if not re.match(r"[ \t]*- ", line):
                break
            items.append(line.strip()[2:])
    names = (item.strip().strip("'\"").strip() for item in items)
    # A card is shown on a terminal: nothing in it may steer that.
    names = ("".join(letter for letter in name if letter.isprintable()) for name in names)
    return [name for name in names if name]
