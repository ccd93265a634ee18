"""Data to evaluate on: files in the formats of `lmzoo.data`, or rows in memory, as `Rows`."""

import os
import pathlib

from lmzoo import data as readers
from lmzoo.data.rows.rows import Rows
from lmzoo.data.rows.tables import open_table, read_column_names
from lmzoo.text_files.files import check_files

__all__ = [
    *("read_answers", "read_data", "read_documents", "read_labelled", "read_lines"),
    *("read_numbered", "read_sources", "read_tagged"),
]

_TABLES = (".csv", ".tsv", ".jsonl", ".json")


def read_data(data, read, columns=None, references=None):
    """The rows of an argument `data`.

    Args:
        data: str or path, or a list of paths: files. `lmzoo.data.Rows`, or a dict of column to
            list: rows in memory.
        read: callable. Takes a list of paths and a dict, see `read_labelled`; reads files.
        columns: dict of column to its name in a table, or None.
        references: list of str or of lists of str, one for each row, or a file with one in each
            line, or None. The column `target` of the rows.
    Returns:
        Rows, at least one.
    Raises:
        TypeError: if `data` or `references` has another form.
        ValueError: if there is no row, or not a reference for each.
        OSError: if a file cannot be read.
    """
    if columns is not None and not isinstance(columns, dict):
        raise TypeError(f"`columns` must be a dict. Received: columns={columns!r:.80}.")
    if isinstance(data, Rows):
        rows = data
    elif isinstance(data, dict):
        rows = readers.make_rows(**data)
    else:
        given = columns or {}
        if references is not None:
            rows = read_sources(_list_paths(data), given)
        else:
            rows = read(_list_paths(data), given)
    if not len(rows):
        raise ValueError("`data` must hold a row. Received: no rows.")
    return rows if references is None else _add_references(rows, references)


def _list_paths(data):
    paths = [data] if isinstance(data, str | os.PathLike) else data
    if not isinstance(paths, list | tuple):
        raise TypeError(
            "`data` must be files, `lmzoo.data.Rows` or a dict of columns. Received: a "
            f"{type(data).__name__}."
        )
    if len(paths) > 1 and all(isinstance(path, str) for path in paths):
        if not all(map(os.path.exists, paths)):
            raise TypeError(
                "`data` must be files, `lmzoo.data.Rows` or a dict of columns. Received: a list of "
                f"str that are no files, such as {paths[0]!r:.60}. Texts go in as "
                '{"text": texts}.'
            )
    if len(paths) == 1 and pathlib.Path(paths[0]).is_dir():
        # One reader takes it, and the others refuse it.
        return [pathlib.Path(paths[0])]
    # What is missing or empty is refused here, before any work.
    return [source.path for source in check_files(list(paths))]


def _add_references(rows, references):
    if isinstance(references, str | os.PathLike):
        references = _read_lines([pathlib.Path(references)])
    if not isinstance(references, list | tuple):
        raise TypeError(
            "`references` must be a list with one for each row, or a file with one in each line. "
            f"Received: a {type(references).__name__}."
        )
    if len(references) != len(rows):
        raise ValueError(
            "`references` must be as many as the rows. Received: "
            f"{len(references)} references, {len(rows)} rows."
        )
    columns = {name: [row[name] for row in rows] for name in rows.columns if name != "target"}
    listed = [[one] if isinstance(one, str) else list(one) for one in references]
    return readers.make_rows(**columns, target=listed)


def _read_lines(paths):
    """The lines of text files, without their line ends; the last one may have none."""
    lines = []
    for document in readers.documents(paths):
        # Not `splitlines`, which also splits at other characters.
        found = document.removesuffix("\n").split("\n")
        lines += [line.removesuffix("\r") for line in found]
    return lines


def _is_table(paths):
    return pathlib.Path(str(paths[0]).removesuffix(".gz")).suffix.lower() in _TABLES


def _read_table(paths, given, needed, optional=(), types=None):
    """Rows of a table with the needed columns, and the optional ones that it has."""
    wanted = {name: given.get(name, name) for name in needed}
    there = read_column_names(paths[0])
    for name in optional:
        if name in given or name in there:
            wanted[name] = given.get(name, name)
    if unknown := set(given) - {*needed, *optional}:
        raise ValueError(
            f"`columns` must name columns out of {', '.join((*needed, *optional))}. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    types = {name: kind for name, kind in (types or {}).items() if name in wanted}
    rows, _ = open_table(paths, wanted, types=types)
    return rows


def read_labelled(paths, given):
    """A table with `text` and `label`, and with `pair` where it has one; or folders of texts."""
    if paths[0].is_dir():
        return readers.read_folders(paths[0])
    return _read_table(paths, given, ("text", "label"), ("pair",))


def read_numbered(paths, given):
    """As `read_labelled`, with numbers as labels, which pairs of texts may lack."""
    return _read_table(paths, given, ("text",), ("pair", "label"), {"label": float})


def read_tagged(paths, given):
    """CoNLL files."""
    return readers.read_conll(paths)


def read_answers(paths, given):
    """SQuAD files."""
    return readers.read_squad(paths)


def read_documents(paths, given):
    """Texts: each plain file, or the column `text` of a table; or a table with `source`."""
    if not _is_table(paths):
        found = list(readers.documents(paths))
        if not found:
            raise ValueError(f"`data` must hold text. Received: {str(paths[0])!r}, which is blank.")
        return readers.make_rows(text=found)
    names = read_column_names(paths[0])
    if given.get("source", "source") in names:
        return read_sources(paths, given)
    return _read_table(paths, given, ("text",))


def read_lines(paths, given):
    """Texts: the lines of plain files that are not blank, or the column `text` of a table."""
    if _is_table(paths):
        return _read_table(paths, given, ("text",))
    lines = [line for line in _read_lines(paths) if line.strip()]
    return readers.make_rows(text=lines)


def read_sources(paths, given):
    """A table with `source`, and with `target` where it has one; or the lines of text files."""
    if _is_table(paths):
        return _read_table(paths, given, ("source",), ("target",))
    return readers.make_rows(source=_read_lines(paths))
