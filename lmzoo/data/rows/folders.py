"""Labelled text in folders: a folder for each label, a file for each text."""

import pathlib
import stat

import numpy as np

from lmzoo.data.checks import describe_value
from lmzoo.data.rows.column_types import plain_value
from lmzoo.data.rows.record_files import decode
from lmzoo.data.rows.rows import Rows
from lmzoo.text_files.bounded_reading import ReadLimits

__all__ = ["read_folders"]

_WITHOUT_LABEL = "unsup"


def read_folders(folder, labels=None, *, limits=None):
    """Reads texts from one folder for each label, as in the IMDB reviews.

    A file `pos/7_10.txt` is a row with the label `pos`. Rows are sorted by label, then by file
    name. Files and folders whose name begins with a dot are ignored, and so are files that do not
    end in `.txt`. An empty file is a row with an empty text; a byte order mark at the beginning is
    dropped. A file is read when its row is read.

    Args:
        folder: str or path. The folder of the labels' folders.
        labels: list of str, or None. The folders to take. None takes all but `unsup`, which has
            IMDB's texts without a label.
        limits: ReadLimits or None. The largest file; see `ReadLimits`.
    Returns:
        Rows with the columns `text` and `label`, both str.
    Raises:
        NotADirectoryError: if `folder` is no folder.
        TypeError: if `labels` is not a list of strings.
        ValueError: if a label has no folder or its folder no text, if there is no label, or if a
            text is no regular file or too large. On reading, if a file is binary or not UTF-8.
    Example:
    >>> from pathlib import Path
    >>> for label in ("neg", "pos"):
    ...     Path("train", label).mkdir(parents=True)
    ...     _ = Path("train", label, "0.txt").write_text(f"a {label} review")
    >>> lmzoo.data.read_folders("train")[1]
    {'text': 'a pos review', 'label': 'pos'}
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"`folder` must be a folder. Received: folder={str(folder)!r}.")
    there = [path.name for path in sorted(folder.iterdir()) if path.is_dir()]
    there = [name for name in there if not name.startswith(".")]
    if labels is None:
        labels = [name for name in there if name != _WITHOUT_LABEL]
    elif isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise TypeError(
            f"`labels` must be a list of strings. Received: labels={describe_value(labels)}."
        )
    if missing := sorted(set(labels) - set(there)):
        raise ValueError(
            f"`labels` must be folders in {str(folder)!r}. Received: labels="
            f"{describe_value(missing)}, but there are {describe_value(there)}."
        )
    if not labels:
        raise ValueError(
            "`folder` must hold a folder for each label. Received: "
            f"folder={str(folder)!r} with {describe_value(there)}."
        )
    return Rows(_Files(folder, sorted(set(labels)), limits or ReadLimits()))


class _Files:
    """The source of a folder's Rows: the files' names are in memory."""

    columns = ("text", "label")

    def __init__(self, folder, labels, limits):
        self._folder = folder
        self._limits = limits
        self._labels = labels
        self._names, self._ends = [], []
        for label in labels:
            try:
                plain_value(label)
            except ValueError as error:
                raise ValueError(f"`folder`, the name of a label: {error}") from error
            paths = sorted((folder / label).glob("[!.]*.txt"))
            for path in paths:
                self._check_file(path)
            found = [path.name for path in paths]
            if not found:
                raise ValueError(
                    "`folder` must hold files in .txt for each label. Received: "
                    f"{str(folder / label)!r}, which has none."
                )
            self._names += found
            self._ends.append(len(self._names))

    def _check_file(self, path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(
                f"`folder` must hold regular files in .txt. Received: {str(path)!r}, which is none."
            )
        self._limits.check_record(status.st_size, path)

    def __len__(self):
        return len(self._names)

    def row(self, index):
        with open(self._path(index), "rb") as file:
            content = file.read(self._limits.max_record_bytes + 1)
        self._limits.check_record(len(content), self.place(index))
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\0" in content:
            raise ValueError(
                f"{self.place(index)}: A file must be text in UTF-8. Received: "
                f"{describe_value(content)}, which has a zero byte."
            )
        try:
            text = decode(content)
        except ValueError as error:
            raise ValueError(f"{self.place(index)}:{error.line + 1}: {error}") from error
        return {"text": text, "label": self._label(index)}

    def place(self, index):
        return str(self._path(index))

    def _path(self, index):
        return self._folder / self._label(index) / self._names[index]

    def _label(self, index):
        return self._labels[int(np.searchsorted(self._ends, index, side="right"))]
