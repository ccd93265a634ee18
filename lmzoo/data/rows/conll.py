"""Sentences with a tag for each word, in the columns of CoNLL."""

import functools
import numbers
import re

from lmzoo.data.corpus.files import check_files
from lmzoo.data.rows.column_types import describe_value
from lmzoo.data.rows.record_files import ConcatenatedRecords, Records, TextFile, decode
from lmzoo.data.rows.rows import Rows

__all__ = ["read_conll", "to_iob2"]

# Not `str.split`, for which a no-break space inside a word would end it.
_BLANKS = re.compile("[ \t]+")
_DOCUMENT = b"-DOCSTART-"
_TAG = re.compile("[BIESLU]-.+|O", re.DOTALL)


def read_conll(files, word=0, tag=-1, *, separator=None, comment=None, iob2=False):
    """Reads sentences of which each word stands on a line of its own, with its tag.

    Sentences end with a blank line. Lines that begin with `-DOCSTART-` are passed over and end
    one too. CoNLL-2003 needs no options but `iob2=True` (its original files are in IOB1), WNUT
    `separator="\\t"`, and CoNLL-U `word=1, tag=3, separator="\\t", comment="#"`, of which lines for
    a range such as `1-2` are words like others.

    Opening reads and checks each file once and keeps 8 bytes for each sentence.

    Args:
        files: str, path, or list of these. Several are read one after the other.
        word: int. The column of the words, from 0 on; negative ones count from the last.
        tag: int. The column of the tags.
        separator: str or None. What stands between columns; None is any number of spaces and
            tabs. With a separator a column may be empty.
        comment: str or None. Lines that begin so are passed over. None has no comments, since in
            CoNLL-2003 a line may begin with the word `#`.
        iob2: bool. If True, tags come as `to_iob2` gives them.
    Returns:
        Rows with the columns `words` and `tags`, lists of str of one length.
    Raises:
        TypeError: if a column is not an integer, or a mark is not a string.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if a file is empty, binary, not UTF-8 or without a sentence, or if a line has
            not as many columns as the file's first, or not those asked for. The message has the
            file and the line.
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
    form = functools.partial(_Form, word, tag, separator, comment, iob2)
    return Rows(
        ConcatenatedRecords([_open(TextFile(source), form()) for source in check_files(files)])
    )


def to_iob2(tags):
    """Turns the tags of a sentence into IOB2, where every entity begins with `B-`.

    IOB1 (`B-` only between two entities of one type that touch), IOBES and BILOU become IOB2, and
    IOB2 stays as it is. An entity that ends or goes on without having begun begins there.

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
                f"`tags` must be O or begin with B-, I-, E-, L-, S- or U-. Received: {tag!r}."
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


def _open(file, form):
    return Records(file, ("words", "tags"), form.sentences(file.lines()), form.parse)


class _Form:
    """How the lines of one file are read; the first of them says how many columns all have."""

    def __init__(self, word, tag, separator, comment, iob2):
        self._word, self._tag = word, tag
        self._separator = separator
        self._comment = None if comment is None else comment.encode("utf-8")
        self._iob2 = iob2
        self._width = None

    def sentences(self, lines):
        """Yields of each sentence its first line, where it begins in bytes, and its content."""
        parts, first = [], None
        for number, offset, line in lines:
            if self._is_comment(line):
                # Kept in a sentence, so that the lines below it are counted as they stand.
                parts += [line] if parts else []
            elif self._is_break(line):
                if parts:
                    yield *first, b"".join(parts)
                parts = []
            else:
                first = first if parts else (number, offset)
                parts.append(line)
        if parts:
            yield *first, b"".join(parts)

    def parse(self, content):
        decode(content)  # Says in which line text is not UTF-8.
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
            raise ValueError(
                f"A line must have {self._width} columns, as the first has. Received: "
                f"{len(fields)} in {describe_value(line)}."
            )
        word, tag = fields[self._word], fields[self._tag]
        if self._iob2:
            to_iob2([tag])  # Refuses a bad one in its own line.
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
