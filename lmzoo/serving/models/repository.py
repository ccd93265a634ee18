"""The models in a folder, and the versions of each."""

import os
import pathlib
import re
from typing import NamedTuple

__all__ = ["Version", "find_versions"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}")
_NUMBER = re.compile(r"[0-9]{1,18}")


class Version(NamedTuple):
    """One version of a model.

    Attributes:
        name: str. Of the model.
        number: int. Its version; 1 for a folder without versions.
        folder: pathlib.Path.
        kind: "saved_model" or "model_folder".
        fingerprint: int. Another one once a file of it has changed.
    """

    name: str
    number: int
    folder: pathlib.Path
    kind: str
    fingerprint: int


def find_versions(root):
    """The versions of each model in a folder.

    Args:
        root: pathlib.Path.
    Returns:
        dict of model name to list of Version, the highest number first. Names that cannot stand
        in a URL, and folders that hold neither kind of model, are left out. Where a folder in
        Hugging Face's layout has versions in it, these are served, as TensorFlow Serving does.
    """
    own = _find_model_versions(root.resolve().name, root)
    if own:
        return {own[0].name: own}
    found = {}
    for folder in _list_folders(root):
        versions = _find_model_versions(folder.name, folder)
        if versions:
            found[folder.name] = versions
    return found


def _find_model_versions(name, folder):
    if not _NAME.fullmatch(name):
        return []
    versions = [
        Version(name, int(entry.name), entry, kind, _take_fingerprint(entry))
        for entry in _list_folders(folder)
        if _NUMBER.fullmatch(entry.name) and (kind := _find_kind(entry))
    ]
    if not versions and (kind := _find_kind(folder)):
        versions = [Version(name, 1, folder, kind, _take_fingerprint(folder))]
    return sorted(versions, key=lambda version: version.number, reverse=True)


def _list_folders(folder):
    try:
        entries = sorted(folder.iterdir())
        return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        # It may be removed while it is looked at.
        return []


def _find_kind(folder):
    if (folder / "saved_model.pb").is_file():
        return "saved_model"
    has_weights = any(folder.glob("*.safetensors")) if folder.is_dir() else False
    return "model_folder" if has_weights and (folder / "config.json").is_file() else None


def _take_fingerprint(folder):
    """A number of the names, sizes, times and inodes of all files."""
    facts = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            facts.append((path, status.st_size, status.st_mtime_ns, status.st_ino))
    return hash(tuple(sorted(facts)))
