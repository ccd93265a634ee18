"""Labelled text in tables: TSV, CSV or JSON lines."""

import functools
import itertools
import math

from lmzoo.data.checks import describe_value
from lmzoo.data.rows.bad_rows import BadRowError, SkippedRows, check_bad_rows
from lmzoo.data.rows.column_types import plain_value
from lmzoo.data.rows.delimited import plain_records, quoted_records, split_quoted
from lmzoo.data.rows.record_files import ConcatenatedRecords, Records, TextFile, decode
from lmzoo.data.rows.rows import Rows
from lmzoo.text_files.bounded_reading import ReadLimits, parse_json
from lmzoo.text_files.files import check_files

__all__ = ["open_table", "read_column_names", "read_table"]


def read_table(
    files,
    text="text",
    *,
    delimiter=None,
    header=True,
    types=None,
    bad_rows="error",
    limits=None,
    **columns,
):
    """Reads the rows of tables, such as a training set for a classifier.

    The suffix decides the format. A `.gz` file is decompressed once into the cache on the disk
    (`unpacked` in `$LMZOO_CACHE`, in `lmzoo` in `$XDG_CACHE_HOME`, or in `~/.cache/lmzoo`).
    `.tsv` is separated by tabs without quoting: a quote is an ordinary character, as in GLUE.
    `.csv` is separated by commas with the quoting of RFC 4180: a quoted field may have commas,
    line ends and doubled quotes. `.jsonl` and `.json` have one object a line. Text is UTF-8, with
    or without a byte order mark; lines end in "\\n" or "\\r\\n". Empty lines are ignored; an
    empty field is an empty string.

    Opening reads and checks each file once and keeps 8 bytes for each row in memory.

    Args:
        files: str, path, or list of these. Several are read one after the other.
        text: str or int. The file's name of the column that becomes `text`.
        delimiter: str or None. The character between two fields; None takes the suffix's.
        header: bool. If False, the file has no header line and columns are given by index, from 0;
            negative ones count from the end.
        types: dict of column to type, or None. `int` or `float` turns a column's strings into
            numbers. Without it, all columns of `.tsv` and `.csv` are strings, and those of
            `.jsonl` keep their types.
        bad_rows: "error" or "skip". How a bad row is treated: one with more or fewer fields than
            the first, a line that is no JSON object or lacks a column, a value of another type, a
            string that is no number. "skip" skips it and warns how many there are. Text that is not
            UTF-8, quotes that do not match and rows that exceed the limits are always errors:
            nobody can tell how many rows they affect.
        limits: ReadLimits or None. The size of a row and of an unpacked file; see `ReadLimits`.
        **columns: str or int. More columns: name in the rows = name in the file.
    Returns:
        Rows with the columns `text` and those of `columns`.
    Raises:
        TypeError: if an argument has another type.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if `bad_rows` is something else, if a file is empty, binary, not UTF-8 or
            without a row, if a column is missing, if a row is bad, or if the limits are exceeded.
            The message has the file and the line.
        RuntimeError: if a file changes while it is read, also later.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("train.tsv").write_text("sentence\\tlabel\\nso good\\t1\\nso bad\\t0\\n")
    >>> rows = lmzoo.data.read_table("train.tsv", text="sentence", label="label")
    >>> rows[1], rows.place(1)
    ({'text': 'so bad', 'label': '0'}, 'train.tsv:3')
    """
    wanted = {"text": text, **columns}
    rows, skipped = open_table(files, wanted, delimiter, header, types, bad_rows, limits)
    skipped.warn(stacklevel=3)
    return rows


def read_column_names(file, *, limits=None):
    """The names of a table's columns, without reading more than its beginning.

    Args:
        file: str or path. As for `read_table`, with a header line where it is no JSON.
        limits: ReadLimits or None. See `ReadLimits`.
    Returns:
        list of str: the fields of the first line, or the keys of the first object.
    Raises:
        TypeError, OSError, ValueError: as `read_table`.
    """
    (source,) = check_files(file)
    _check_format(source, {}, None, True)
    limits = limits or ReadLimits()
    opened = TextFile(source, limits)
    if source.jsonl:
        found = (record for record in opened.lines() if record[2].strip())
        parse = functools.partial(_read_keys, limits)
    else:
        is_quoted = _suffix_of(source) == ".csv"
        delimiter = "," if is_quoted else "\t"
        lines = opened.lines()
        found = (
            quoted_records(lines, delimiter, opened.path, limits)
            if is_quoted
            else plain_records(lines)
        )
        parse = functools.partial(
            _split, split_quoted if is_quoted else str.split, delimiter, limits
        )
    for number, _, content in found:
        return opened.parse(parse, content, lambda number=number: number)
    raise ValueError(f"`file` must hold at least one row. Received: {str(opened.path)!r}.")


def _read_keys(limits, content):
    found = parse_json(decode(content).strip(), limits)
    if not isinstance(found, dict):
        raise BadRowError(f"A line must hold one JSON object. Received: {describe_value(found)}.")
    return list(found)


def open_table(
    files, wanted, delimiter=None, header=True, types=None, bad_rows="error", limits=None
):
    """As `read_table`, with the columns as a dict `wanted` of our names to the file's.

    Returns:
        (Rows, SkippedRows). The caller warns of the skipped rows.
    """
    check_bad_rows(bad_rows)
    types = _check_types(types, wanted)
    sources = check_files(files)
    for source in sources:
        _check_format(source, wanted, delimiter, header)
    skipped = SkippedRows()
    skip = skipped.add if bad_rows == "skip" else None
    limits = limits or ReadLimits()
    opened = [_open(source, wanted, types, delimiter, header, skip, limits) for source in sources]
    return Rows(ConcatenatedRecords(opened)), skipped


def _open(source, wanted, types, delimiter, header, skip, limits):
    file, columns = TextFile(source, limits), tuple(wanted)
    if source.jsonl:
        found = (record for record in file.lines() if record[2].strip())
        parse = functools.partial(_parse_object, wanted, types, limits)
        return Records(file, columns, found, parse, skip)
    if _suffix_of(source) == ".csv":
        delimiter = delimiter or ","
        found = quoted_records(file.lines(), delimiter, file.path, limits)
        split = functools.partial(_split, split_quoted, delimiter, limits)
    else:
        found = plain_records(file.lines())
        split = functools.partial(_split, str.split, delimiter or "\t", limits)
    for number, offset, content in found:
        names = file.parse(split, content, lambda number=number: number)
        find = _find_by_name if header else _find_by_index
        indices = find(wanted, names, file)
        if not header:
            found = itertools.chain([(number, offset, content)], found)
        parse = functools.partial(_parse_fields, split, len(names), indices, types)
        return Records(file, columns, found, parse, skip)
    return Records(file, columns, [], None)


def _split(function, delimiter, limits, content):
    limits.check_items(content.count(delimiter.encode("utf-8")))
    return function(decode(content).rstrip("\r\n"), delimiter)


def _parse_fields(split, width, indices, types, content):
    fields = split(content)
    if len(fields) != width:
        raise BadRowError(
            f"A row must have {width} fields, as the first has. Received: {len(fields)} in "
            f"{describe_value(fields)}."
        )
    return {name: _convert(name, fields[i], types.get(name)) for name, i in indices.items()}


def _parse_object(wanted, types, limits, content):
    text = decode(content).strip()
    try:
        found = parse_json(text, limits)
    except ValueError as error:
        raise BadRowError(
            f"A line must hold one JSON object. Received: {describe_value(text)}, which "
            f"gives: {error}"
        ) from error
    if not isinstance(found, dict):
        raise BadRowError(f"A line must hold one JSON object. Received: {describe_value(found)}.")
    row = {}
    for name, key in wanted.items():
        if key not in found:
            raise BadRowError(
                f"A row must have {key!r}. Received: {name}={key!r}, "
                f"{describe_value(sorted(found))}."
            )
        try:
            value = plain_value(found[key])
        except (TypeError, ValueError) as error:
            raise BadRowError(f"{key!r}: {error}") from error
        kind = types.get(name)
        many = isinstance(value, list)
        row[name] = (
            [_convert(name, v, kind) for v in value] if many else _convert(name, value, kind)
        )
    return row


def _convert(name, value, kind):
    if kind is None:
        return value
    try:
        number = kind(value)
        # Python reads "nan" as a float, 2.5 as the integer 2 and "1_0" as 10. A file means none
        # of these.
        is_text = isinstance(value, str)
        whole = kind is float or is_text or number == value
        good = math.isfinite(number) and whole and not (is_text and "_" in value)
    except (ValueError, OverflowError):
        good = False
    if not good:
        kinds = {int: "integers", float: "finite numbers"}
        raise BadRowError(f"`{name}` must hold {kinds[kind]}. Received: {describe_value(value)}.")
    return plain_value(number)


def _find_by_name(wanted, names, file):
    for name, theirs in wanted.items():
        if names.count(theirs) != 1:
            raise ValueError(
                f"`{name}` must name one column of the file. Received: {name}={theirs!r}, but "
                f"{str(file.path)!r} has {describe_value(names)}."
            )
    return {name: names.index(theirs) for name, theirs in wanted.items()}


def _find_by_index(wanted, fields, file):
    for name, number in wanted.items():
        if not -len(fields) <= number < len(fields):
            raise ValueError(
                f"`{name}` must be the index of a column, from 0. Received: {name}="
                f"{number}, but {str(file.path)!r} has {len(fields)} columns."
            )
    return wanted


def _suffix_of(source):
    suffixes = [suffix.lower() for suffix in source.path.suffixes]
    return "".join((suffixes[:-1] if source.gzipped else suffixes)[-1:])


def _check_format(source, wanted, delimiter, header):
    if delimiter is not None and (
        not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'
    ):
        raise ValueError(
            "`delimiter` must be one character, and no quote or line end. Received: delimiter="
            f"{delimiter!r}."
        )
    suffix = _suffix_of(source)
    if source.jsonl and (delimiter is not None or not header):
        raise ValueError(
            "`delimiter` and `header` must be left out where a line is a JSON object. Received: "
            f"{str(source.path)!r} with delimiter={delimiter!r}, header={header}."
        )
    if suffix == ".json" and not source.jsonl:
        raise ValueError(
            "`files` must have one JSON object a line where they end in .json. Received: "
            f"{str(source.path)!r}, whose first line is none. Write it with one object a line, for "
            'example with pandas: frame.to_json(path, orient="records", lines=True).'
        )
    if delimiter is None and suffix not in (".tsv", ".csv", ".jsonl", ".json"):
        raise ValueError(
            "`files` must end in .tsv, .csv, .jsonl or .json (and .gz) where `delimiter` is None. "
            f'Received: {str(source.path)!r}. Pass for example delimiter="\\t".'
        )
    kind = str if header else int
    for name, theirs in wanted.items():
        if type(theirs) is not kind:
            raise TypeError(
                f"`{name}` must be the {'name' if header else 'index'} of a column with header="
                f"{header}. Received: {name}={theirs!r}."
            )


def _check_types(types, wanted):
    types = {} if types is None else types
    if not isinstance(types, dict) or any(kind not in (int, float) for kind in types.values()):
        raise TypeError(
            "`types` must be a dict of column to int or float. Received: "
            f"types={describe_value(types)}."
        )
    if unknown := sorted(set(types) - set(wanted)):
        raise ValueError(
            f"`types` must name columns out of {sorted(wanted)}. Received: types={unknown}."
        )
    return types
