"""What goes with a model as text: its card, which anybody may have written, licence, template."""

import re
import shutil

from lmzoo.json_files import read_json, write_text

__all__ = ["FILES", "copy_texts", "read_licence"]

_TEMPLATE = "chat_template.jinja"
FILES = ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.txt", _TEMPLATE)
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


def copy_texts(folder, new):
    """Copies card and licence, unchanged, as most licences ask for, and the chat template.

    A template that stands in tokenizer_config.json, as in older folders, gets a file of its own,
    where transformers looks for it. Nothing here runs one.

    Args:
        folder: pathlib.Path. A model's folder, whose files have been checked.
        new: pathlib.Path. The folder to copy into.
    Raises:
        ValueError: if one is larger than any card, or tokenizer_config.json is broken.
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
    if not (new / _TEMPLATE).exists() and (folder / "tokenizer_config.json").is_file():
        template = read_json(folder / "tokenizer_config.json").get("chat_template")
        if isinstance(template, list):
            named = [entry for entry in template if isinstance(entry, dict)]
            template = {entry.get("name"): entry.get("template") for entry in named}.get("default")
        if isinstance(template, str):
            write_text(new / _TEMPLATE, template)


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
