"""Tagged sentences in the column format of CoNLL."""

import numbers
import re

from lmzoo.data.checks import describe_value
from lmzoo.data.rows.bad_rows import BadRowError, SkippedRows, check_bad_rows
from lmzoo.data.rows.record_files import ConcatenatedRecords, Records, TextFile, decode
from lmzoo.data.rows.rows import Rows
from lmzoo.text_files.bounded_reading import ReadLimits
from lmzoo.text_files.files import check_files

__all__ = ["read_conll", "to_iob2"]

# Not `str.split`, for which a no-break space inside a word would end it.
_BLANKS = re.compile("[ \t]+")
_DOCUMENT = b"-DOCSTART-"
_TAG = re.compile("[BIESLU]-.+|O", re.DOTALL)


def read_conll(
    files,
    word=0,
    tag=-1,
    *,
    separator=None,
    comment=None,
    iob2=False,
    bad_rows="error",
    limits=None,
):
    """Reads sentences with one word and its tag on each line.

    A blank line ends a sentence. A line that begins with `-DOCSTART-` ends one too and is ignored.
    CoNLL-2003 needs no options but `iob2=True` (its original files are in IOB1), WNUT
    `separator="\\t"`, and CoNLL-U `word=1, tag=3, separator="\\t", comment="#"`, where lines for a
    range such as `1-2` count as words.

    Opening reads and checks each file once and keeps 8 bytes for each sentence in memory.

    Args:
        files: str, path, or list of these. Several are read one after the other.
        word: int. The column of the words, from 0; negative ones count from the end.
        tag: int. The column of the tags.
        separator: str or None. The text between columns; None is any number of spaces and tabs.
            With a separator a column may be empty.
        comment: str or None. Lines that begin with it are ignored. The default is None because
            in CoNLL-2003 a line may begin with the word `#`.
        iob2: bool. If True, tags are converted by `to_iob2`, and a tag that is no IOB tag is an
            error.
        bad_rows: "error" or "skip". How a sentence is treated that has a line with more or fewer
            columns than the first, or with `iob2` a tag that is no IOB tag. "skip" skips the
            sentence and warns how many there are. Text that is not UTF-8 is always an error.
        limits: ReadLimits or None. The size of a sentence and of an unpacked file.
    Returns:
        Rows with the columns `words` and `tags`, lists of str of equal length.
    Raises:
        TypeError: if a column is not an integer, or `separator` or `comment` is not a string.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty, binary, not UTF-8 or without a sentence, or if a
            sentence is bad. The message has the file and the line.
        RuntimeError: if a file changes while it is read, also later.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("train.txt").write_text("EU NNP I-NP I-ORG\\nrejects VBZ I-VP O\\n\\n")
    >>> lmzoo.data.read_conll("train.txt", iob2=True)[0]
    {'words': ['EU', 'rejects'], 'tags': ['B-ORG', 'O']}

    Reference: Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419.
    """
    for name, column in (("word", word), ("tag", tag)):
        if not isinstance(column, numbers.Integral):
            raise TypeError(f"`{name}` must be an integer. Received: {name}={column!r}.")
    for name, mark in (("separator", separator), ("comment", comment)):
        if mark is not None and (not isinstance(mark, str) or not mark):
            raise TypeError(f"`{name}` must be None or a string. Received: {name}={mark!r}.")
    check_bad_rows(bad_rows)
    limits = limits or ReadLimits()
    skipped = SkippedRows()
    skip = skipped.add if bad_rows == "skip" else None
    records = []
    for source in check_files(files):
        parser = _SentenceParser(word, tag, separator, comment, iob2)
        file = TextFile(source, limits)
        found = parser.sentences(file.lines(), file.path, limits)
        records.append(Records(file, ("words", "tags"), found, parser.parse, skip))
    skipped.warn(stacklevel=3)
    return Rows(ConcatenatedRecords(records))


def to_iob2(tags):
    """Converts the tags of a sentence to IOB2, where every entity begins with `B-`.

    IOB1 (`B-` only between adjacent entities of one type), IOBES, BILOU and IOB2 become IOB2. An
    entity that ends or continues without a beginning begins there.

    Args:
        tags: list of str, each "O" or "B-", "I-", "E-", "L-", "S-" or "U-" and a type.
    Returns:
        list of str.
    Raises:
        ValueError: if a tag is none of these.
    Example:
    >>> lmzoo.data.to_iob2(["I-PER", "I-PER", "B-PER", "O", "S-LOC"])
    ['B-PER', 'I-PER', 'B-PER', 'O', 'B-LOC']
    """
    converted, open_type = [], None
    for tag in tags:
        if not isinstance(tag, str) or not _TAG.fullmatch(tag):
            raise ValueError(
                "`tags` must be O or begin with B-, I-, E-, L-, S- or U-. Received: "
                f"{describe_value(tag)}."
            )
        prefix, _, entity = tag.partition("-")
        if prefix == "O":
            converted.append(tag)
            open_type = None
            continue
        goes_on = prefix in "IEL" and entity == open_type
        converted.append(f"{'I' if goes_on else 'B'}-{entity}")
        open_type = entity if prefix in "BI" else None
    return converted


class _SentenceParser:
    """Reads the lines of one file; the first line fixes the number of columns."""

    def __init__(self, word, tag, separator, comment, iob2):
        self._word, self._tag = word, tag
        self._separator = separator
        self._comment = None if comment is None else comment.encode("utf-8")
        self._iob2 = iob2
        self._width = None

    def sentences(self, lines, path, limits):
        """Yields of each sentence the number of its first line, its first byte, its content."""
        parts, first, size = [], None, 0
        for number, offset, line in lines:
            if self._is_comment(line):
                # Kept inside a sentence, so that line numbers stay right.
                parts += [line] if parts else []
            elif self._is_break(line):
                if parts:
                    yield *first, b"".join(parts)
                parts, size = [], 0
            else:
                first = first if parts else (number, offset)
                parts.append(line)
                size += len(line)
                limits.check_record(size, f"{path}:{first[0]}")
                if len(parts) > limits.max_items:
                    raise ValueError(
                        f"{path}:{first[0]}: A sentence has at most {limits.max_items} words. "
                        "Received: a longer one. Are blank lines between sentences missing? If "
                        "not, pass limits=lmzoo.data.ReadLimits(max_items=...)."
                    )
        if parts:
            yield *first, b"".join(parts)

    def parse(self, content):
        decode(content)  # Refuses text that is not UTF-8, with its line.
        words, tags = [], []
        for number, line in enumerate(content.split(b"\n")):
            if self._is_comment(line) or self._is_break(line):
                continue
            try:
                word, tag = self._word_and_tag(line.decode("utf-8").rstrip("\r"))
            except ValueError as error:
                error.line = number
                raise
            words.append(word)
            tags.append(tag)
        return {"words": words, "tags": to_iob2(tags) if self._iob2 else tags}

    def _is_comment(self, line):
        return self._comment is not None and line.startswith(self._comment)

    def _is_break(self, line):
        return not line.strip(b" \t\r\n") or line.startswith(_DOCUMENT)

    def _word_and_tag(self, line):
        if self._separator is None:
            fields = _BLANKS.split(line.strip(" \t"))
        else:
            fields = line.split(self._separator)
        if self._width is None:
            self._check_columns(len(fields), fields)
            self._width = len(fields)
        if len(fields) != self._width:
            raise BadRowError(
                f"A line must have {self._width} columns, as the first has. Received: "
                f"{len(fields)} in {describe_value(line)}."
            )
        word, tag = fields[self._word], fields[self._tag]
        if self._iob2:
            try:
                to_iob2([tag])
            except ValueError as error:
                raise BadRowError(str(error)) from error
        return word, tag

    def _check_columns(self, width, fields):
        columns = (self._word, self._tag)
        outside = not all(-width <= column < width for column in columns)
        if outside or self._word % width == self._tag % width:
            raise ValueError(
                "`word` and `tag` must be two columns of the file. Received: "
                f"word={self._word}, tag={self._tag}, but a line has {width}: "
                f"{describe_value(fields)}. Is `separator` right?"
            )
