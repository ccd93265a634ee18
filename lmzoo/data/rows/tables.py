"""Labelled text in tables: tab-separated, comma-separated, or JSON lines."""

import functools
import itertools
import json
import math

from lmzoo.data.corpus.files import check_files
from lmzoo.data.rows.bad_rows import BadRowError, SkippedRows, check_bad_rows
from lmzoo.data.rows.column_types import describe_value, plain_value
from lmzoo.data.rows.delimited import plain_records, quoted_records, split_quoted
from lmzoo.data.rows.record_files import ConcatenatedRecords, Records, TextFile, decode
from lmzoo.data.rows.rows import Rows

__all__ = ["open_table", "read_table"]


def read_table(
    files,
    text="text",
    *,
    delimiter=None,
    header=True,
    types=None,
    bad_rows="error",
    **columns,
):
    """Reads the rows of tables, such as a training set for a classifier.

    The suffix tells the form; `.gz` behind it is unpacked once, into the cache on the disk
    (`unpacked` in `$LMZOO_CACHE`, in `lmzoo` in `$XDG_CACHE_HOME`, or in `~/.cache/lmzoo`).
    `.tsv` has tabs and no quoting: a quote is a character like others, as in GLUE. `.csv` has
    commas and RFC 4180's quoting: a quoted field may have commas, line ends and doubled quotes.
    `.jsonl` has one object a line. Text is UTF-8, with or without a byte order mark; lines end
    in "\\n" or "\\r\\n". Empty lines are passed over; an empty field is an empty string and kept.

    Opening reads and checks each file once and keeps 8 bytes for each row.

    Args:
        files: str, path, or list of these. Several are read one after the other.
        text: str or int. What the file calls the column that becomes `text`.
        delimiter: str or None. One character between two fields; None goes by the suffix.
        header: bool. If False, there is no line with names, and columns are given by number from
            0 on; negative ones count from the last.
        types: dict of column to type, or None. `int` or `float` turns a column's strings into
            numbers. Without it, all columns of `.tsv` and `.csv` are strings, and those of
            `.jsonl` are as they stand there.
        bad_rows: "error" or "skip". What becomes of a row with more or fewer fields than the first,
            of a line that is no JSON object, or lacks a column or has there what a row cannot hold,
            and of what is no number where it should be. "skip" leaves the row out, and warns how
            many there are. Text that is not UTF-8 and quotes that do not match are an error in any
            case: there is no saying how many rows they spoil.
        **columns: str or int. More columns: our name = what the file calls it.
    Returns:
        Rows with the columns `text` and those of `columns`.
    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if `bad_rows` is something else, if a file is empty, binary, not UTF-8 or
            without a row, if a column is not in it, or if a row is bad. The message has the file
            and the line.
        RuntimeError: if a file changes while it is read, also later.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("train.tsv").write_text("sentence\\tlabel\\nso good\\t1\\nso bad\\t0\\n")
    >>> rows = lmzoo.data.read_table("train.tsv", text="sentence", label="label")
    >>> rows[1], rows.place(1)
    ({'text': 'so bad', 'label': '0'}, 'train.tsv:3')
    """
    wanted = {"text": text, **columns}
    rows, skipped = open_table(files, wanted, delimiter, header, types, bad_rows)
    skipped.warn(stacklevel=3)
    return rows


def open_table(files, wanted, delimiter=None, header=True, types=None, bad_rows="error"):
    """As `read_table`, with a dict `wanted` for the columns.

    Returns:
        (Rows, SkippedRows). Of what was skipped the caller warns.
    """
    check_bad_rows(bad_rows)
    types = _check_types(types, wanted)
    sources = check_files(files)
    for source in sources:
        _check_form(source, wanted, delimiter, header)
    skipped = SkippedRows()
    skip = skipped.add if bad_rows == "skip" else None
    opened = [_open(source, wanted, types, delimiter, header, skip) for source in sources]
    return Rows(ConcatenatedRecords(opened)), skipped


def _open(source, wanted, types, delimiter, header, skip):
    file, columns = TextFile(source), tuple(wanted)
    if source.jsonl:
        found = (record for record in file.lines() if record[2].strip())
        return Records(file, columns, found, functools.partial(_parse_object, wanted, types), skip)
    if _form_of(source) == ".csv":
        delimiter = delimiter or ","
        found = quoted_records(file.lines(), delimiter)
        split = functools.partial(_split, split_quoted, delimiter)
    else:
        found = plain_records(file.lines())
        split = functools.partial(_split, str.split, delimiter or "\t")
    for number, offset, content in found:
        names = file.parse(split, content, lambda number=number: number)
        places = _places_by_name(wanted, names, file) if header else _by_number(wanted, names, file)
        if not header:
            found = itertools.chain([(number, offset, content)], found)
        parse = functools.partial(_parse_fields, split, len(names), places, types)
        return Records(file, columns, found, parse, skip)
    return Records(file, columns, [], None)


def _split(function, delimiter, content):
    return function(decode(content).rstrip("\r\n"), delimiter)


def _parse_fields(split, width, places, types, content):
    fields = split(content)
    if len(fields) != width:
        raise BadRowError(
            f"A row must have {width} fields, as the first has. Received: {len(fields)} in "
            f"{describe_value(fields)}."
        )
    return {name: _convert(name, fields[place], types.get(name)) for name, place in places.items()}


def _parse_object(wanted, types, content):
    text = decode(content).strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
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
                f"A row must have {key!r}. Received: {name}={key!r}, {sorted(found)}."
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
        # "nan" reads as a float, 2.5 as the integer 2 and "1_0" as 10, but none of these is what
        # the file means.
        is_text = isinstance(value, str)
        whole = kind is float or is_text or number == value
        good = math.isfinite(number) and whole and not (is_text and "_" in value)
    except (ValueError, OverflowError):
        good = False
    if not good:
        kinds = {int: "integers", float: "finite numbers"}
        raise BadRowError(f"`{name}` must hold {kinds[kind]}. Received: {describe_value(value)}.")
    return plain_value(number)


def _places_by_name(wanted, names, file):
    for name, theirs in wanted.items():
        if names.count(theirs) != 1:
            raise ValueError(
                f"`{name}` must name one column of the file. Received: {name}={theirs!r}, but "
                f"{str(file.path)!r} has {names}."
            )
    return {name: names.index(theirs) for name, theirs in wanted.items()}


def _by_number(wanted, fields, file):
    for name, number in wanted.items():
        if not -len(fields) <= number < len(fields):
            raise ValueError(
                f"`{name}` must be the number of a column, which count from 0. Received: {name}="
                f"{number}, but {str(file.path)!r} has {len(fields)} columns."
            )
    return wanted


def _form_of(source):
    suffixes = [suffix.lower() for suffix in source.path.suffixes]
    return "".join((suffixes[:-1] if source.gzipped else suffixes)[-1:])


def _check_form(source, wanted, delimiter, header):
    if delimiter is not None and (
        not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'
    ):
        raise ValueError(
            "`delimiter` must be one character, and no quote or line end. Received: delimiter="
            f"{delimiter!r}."
        )
    form = _form_of(source)
    if source.jsonl and (delimiter is not None or not header):
        raise ValueError(
            "`delimiter` and `header` must be left out where a line is a JSON object. Received: "
            f"{str(source.path)!r} with delimiter={delimiter!r}, header={header}."
        )
    if delimiter is None and form not in (".tsv", ".csv", ".jsonl"):
        raise ValueError(
            "`files` must end in .tsv, .csv or .jsonl (and .gz) where `delimiter` is None. "
            f'Received: {str(source.path)!r}. Pass for example delimiter="\\t".'
        )
    kind = str if header else int
    for name, theirs in wanted.items():
        if type(theirs) is not kind:
            raise TypeError(
                f"`{name}` must be a {'name' if header else 'number'} of a column with header="
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
