"""A corpus: files, how they are split into documents, and how these are cleaned."""

import codecs
import collections
import dataclasses
import hashlib
import itertools
import pathlib
import sqlite3
import tempfile

from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.text_files.bounded_reading import ReadLimits
from lmzoo.text_files.files import check_files, fingerprint
from lmzoo.text_files.reading import read_documents

__all__ = ["Corpus", "clean_texts", "documents", "unique_documents"]

# A document is held in memory up to `_IN_MEMORY` bytes while its hash is computed.
_IN_MEMORY = 8 << 20
_BLOCK = 1 << 20


class Corpus:
    """Text files as one sequence of cleaned documents.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines: `.jsonl`, or `.json` whose
            first line is an object with `field`. Both may be gzipped (`.gz`).
        field: str. The key of the text in a JSON line.
        document_separator: str or None. The text between two documents of a text file, such as
            two newlines. None takes each text file as one document.
        clean: Cleaning or None. None leaves the documents as they are.
        limits: ReadLimits or None. The size of a JSON line and of a `.gz` file after decompression.
    Raises:
        TypeError: if `files` holds something that is not a path, or `clean` is not a Cleaning.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if there is no file, or one is empty or not text, if the first line of a
            `.jsonl` file has no string under `field`, or if `document_separator` is empty.
    """

    def __init__(self, files, field="text", document_separator=None, clean=None, limits=None):
        if document_separator == "":
            raise ValueError(
                "`document_separator` must not be empty. Received: document_separator=''. "
                "Pass None where each file is one document."
            )
        if clean is not None and not isinstance(clean, Cleaning):
            raise TypeError(f"`clean` must be a Cleaning or None. Received: clean={clean!r}.")
        if limits is not None and not isinstance(limits, ReadLimits):
            raise TypeError(f"`limits` must be a ReadLimits or None. Received: limits={limits!r}.")
        self.field = field
        self.document_separator = document_separator
        self.clean = clean or Cleaning()
        self.limits = limits or ReadLimits()
        self.sources = [self._check_field(source) for source in check_files(files)]

    def _check_field(self, source):
        """Reads the first JSON line, so that a wrong `field` is an error at once."""
        if source.jsonl:
            try:
                next(read_documents(source, self.field, limits=self.limits), None)
            except ValueError:
                # A `.json` file is JSON lines only if it has the field. Otherwise it is text.
                if ".json" not in [suffix.lower() for suffix in source.path.suffixes[-2:]]:
                    raise
                return dataclasses.replace(source, jsonl=False)
        return source

    @property
    def num_bytes(self):
        """int. The size of the files on the disk."""
        return sum(source.path.stat().st_size for source in self.sources)

    def fingerprint(self):
        """Returns a description of files and options from which a cache key is computed."""
        return {
            "files": [fingerprint(source) for source in self.sources],
            "field": self.field,
            "document_separator": self.document_separator,
            "clean": dataclasses.asdict(self.clean),
        }

    def documents(self, folder, advance=None, replaced=None):
        """Reads the documents one after the other and leaves out those with only whitespace.

        Args:
            folder: str or path. A folder for the temporary files of the deduplication.
            advance: callable or None. Called with the number of bytes read from the disk.
            replaced: collections.Counter or None. For each path, the number of invalid
                characters that became U+FFFD is added to it.
        Yields:
            iterator of str: the document in parts. Read it to its end before the next one.
        """
        found = self._documents(advance, collections.Counter() if replaced is None else replaced)
        return unique_documents(found, folder) if self.clean.deduplicate else found

    def _documents(self, advance, replaced):
        for source in self.sources:

            def count(number, path=str(source.path)):
                if number > 0:
                    replaced[path] += number

            found = read_documents(
                source, self.field, self.document_separator, advance, count, self.limits
            )
            for raw in found:
                document = _unless_blank(self.clean.apply(raw))
                if document is not None:
                    yield document


def documents(files, field="text", document_separator=None, clean=None, limits=None):
    """Reads the documents of text files, for instance to train a tokenizer on them.

    Args:
        files: see `Corpus`.
        field: see `Corpus`.
        document_separator: see `Corpus`.
        clean: see `Corpus`.
        limits: see `Corpus`.
    Yields:
        str, one whole document; `Corpus.documents` gives documents in parts.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError: as `Corpus`.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("two.jsonl").write_text('{"text": "one"}\\n{"text": "two"}')
    >>> list(lmzoo.data.documents("two.jsonl"))
    ['one', 'two']
    """
    corpus = Corpus(files, field, document_separator, clean, limits)
    with tempfile.TemporaryDirectory() as folder:
        for document in corpus.documents(folder):
            yield "".join(document)


def clean_texts(texts, clean, folder):
    """Cleans texts in memory as `Corpus.documents` cleans those of files.

    Args:
        texts: iterable of str. Each is a document.
        clean: Cleaning.
        folder: str or path. A folder for the temporary files of the deduplication.
    Yields:
        iterator of str: the document in parts. Read it to its end before the next one.
    """
    found = (_unless_blank(clean.apply([text])) for text in texts)
    found = (document for document in found if document is not None)
    return unique_documents(found, folder) if clean.deduplicate else found


def _unless_blank(parts):
    """Returns the document, or None if it has only whitespace."""
    held = []
    for part in parts:
        held.append(part)
        if part.strip():
            return itertools.chain(held, parts)
    return None


def unique_documents(documents, folder):
    """Yields each document the first time its text appears.

    A document is buffered (on the disk beyond 8 MiB) until its end, because its hash is known only
    then. The hashes are in an SQLite file, so memory does not grow with the corpus.

    Args:
        documents: iterable of iterables of str.
        folder: str or path. A folder for the temporary file of the hashes.
    Yields:
        iterator of str.
    """
    path = pathlib.Path(folder) / "seen.sqlite"
    seen = sqlite3.connect(path, isolation_level=None)
    try:
        # The file is temporary, so a crash loses nothing.
        seen.execute("PRAGMA journal_mode = OFF")
        seen.execute("PRAGMA synchronous = OFF")
        seen.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")
        seen.execute("BEGIN")
        for document in documents:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder) as held:
                digest = hashlib.blake2b(digest_size=16)
                for part in document:
                    data = part.encode("utf-8")
                    digest.update(data)
                    held.write(data)
                row = seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest.digest(),))
                if row.rowcount:
                    held.seek(0)
                    yield _replay(held)
    finally:
        seen.close()
        path.unlink(missing_ok=True)


def _replay(held):
    decoder = codecs.getincrementaldecoder("utf-8")()
    while block := held.read(_BLOCK):
        yield decoder.decode(block)
