"""The model card and license of a model's folder."""

import re
import shutil

__all__ = ["FILES", "copy_documents", "read_license"]

FILES = ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.txt")
_MAX_BYTES = 16 << 20
# The metadata stands at the top. That of the largest published cards is some kilobytes.
_MAX_METADATA_BYTES = 64 << 10
_MAX_LICENSE_LENGTH = 100
_LINE = re.compile(r"(license|license_name):[ \t]*(.*)")


def read_license(folder):
    """Reads the license from the metadata of a model card, README.md.

    The metadata is YAML between two lines of three dashes. Only the field `license` is read, a name
    or a list of names, and `license_name` where the license is "other".

    Args:
        folder: pathlib.Path. A model's folder.
    Returns:
        str of at most 100 printable characters, or None if there is no card or no license in it.
    """
    path = folder / "README.md"
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        text = file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return None
    metadata = []
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        metadata.append(line)
    else:
        return None
    found = {}
    for index, line in enumerate(metadata):
        match = _LINE.fullmatch(line.rstrip())
        if match and match[1] not in found:
            found[match[1]] = _read_names(match[2], metadata[index + 1 :])
    names = found.get("license", [])
    if names == ["other"]:
        names = [*names, *found.get("license_name", [])]
    return ", ".join(names)[:_MAX_LICENSE_LENGTH] or None


def copy_documents(folder, new):
    """Copies the model card and the license unchanged, as most licenses ask for.

    Args:
        folder: pathlib.Path. A model's folder, whose files have been checked.
        new: pathlib.Path. The folder to copy into.
    Raises:
        ValueError: if one has more than 16 MiB.
    """
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ValueError(
                f"{name} must have at most {_MAX_BYTES} bytes. Received: {str(path)!r}, which "
                f"has {size}."
            )
        shutil.copyfile(path, new / name)


def _read_names(value, following):
    """The names after a field, or in the YAML list on the lines that follow."""
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
