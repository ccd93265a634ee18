"""A corpus: files, how they are cut into documents, and how these are cleaned."""

import collections
import dataclasses
import itertools
import tempfile

from lmzoo.data.corpus.cleaning import Cleaning
from lmzoo.data.corpus.deduplication import unique_documents
from lmzoo.data.corpus.files import check_files, fingerprint
from lmzoo.data.corpus.reading import read_documents

__all__ = ["Corpus", "documents"]


class Corpus:
    """Text files seen as one sequence of clean documents.

    Args:
        files: str, path, or list of these. Text in UTF-8, or JSON lines where the name ends
            in `.jsonl`; both may be gzipped (`.gz`). A text file is one document.
        field: str. The key of the text in a JSON line.
        document_separator: str or None. If given, what stands between two documents of a
            text file, such as two newlines or a line of its own.
        clean: Cleaning or None. None changes nothing.
    Raises:
        TypeError: if `files` holds something that is not a path, or `clean` is not a Cleaning.
        FileNotFoundError: if a file does not exist.
        IsADirectoryError: if a file is a folder.
        ValueError: if there is no file, or one is empty or not text, if the first line of a
            JSON lines file has no string under `field`, or if `document_separator` is empty.
    """

    def __init__(self, files, field="text", document_separator=None, clean=None):
        if document_separator == "":
            raise ValueError(
                "`document_separator` must not be empty. Received: document_separator=''. "
                "Pass None where each file is one document."
            )
        if clean is not None and not isinstance(clean, Cleaning):
            raise TypeError(f"`clean` must be a Cleaning or None. Received: clean={clean!r}.")
        self.sources = check_files(files)
        self.field = field
        self.document_separator = document_separator
        self.clean = clean or Cleaning()
        for source in self.sources:
            if source.jsonl:  # A wrong `field` shows in the first line, not after hours.
                next(read_documents(source, field), None)

    @property
    def num_bytes(self):
        """int. The size of the files on the disk."""
        return sum(source.path.stat().st_size for source in self.sources)

    def fingerprint(self):
        """Returns what decides about the documents, as JSON keeps it."""
        return {
            "files": [fingerprint(source) for source in self.sources],
            "field": self.field,
            "document_separator": self.document_separator,
            "clean": dataclasses.asdict(self.clean),
        }

    def documents(self, folder, advance=None, replaced=None):
        """Reads the documents one after the other. One without any visible text is left out.

        Args:
            folder: str or path. Where notes on duplicates may be kept meanwhile.
            advance: callable or None. Called with the number of bytes read from the disk.
            replaced: collections.Counter or None. Gets, for each path, how many characters
                became U+FFFD because they were not valid.
        Yields:
            iterator of str: the document in parts, to be used up before the next is asked for.
        """
        found = self._documents(advance, collections.Counter() if replaced is None else replaced)
        return unique_documents(found, folder) if self.clean.deduplicate else found

    def _documents(self, advance, replaced):
        for source in self.sources:

            def count(number, path=str(source.path)):
                if number > 0:
                    replaced[path] += number

            for raw in read_documents(source, self.field, self.document_separator, advance, count):
                document = _unless_blank(self.clean.apply(raw))
                if document is not None:
                    yield document


def documents(files, field="text", document_separator=None, clean=None):
    """Reads the documents of text files, for instance to learn a vocabulary from them.

    Args:
        files: see `Corpus`.
        field: see `Corpus`.
        document_separator: see `Corpus`.
        clean: see `Corpus`.
    Yields:
        str, one document. It is in memory whole; `Corpus.documents` gives it in parts.
    Raises:
        TypeError, FileNotFoundError, IsADirectoryError, ValueError: as `Corpus`.
    Example:
    >>> from pathlib import Path
    >>> _ = Path("two.jsonl").write_text('{"text": "one"}\\n{"text": "two"}')
    >>> list(lmzoo.data.documents("two.jsonl"))
    ['one', 'two']
    """
    corpus = Corpus(files, field, document_separator, clean)
    with tempfile.TemporaryDirectory() as folder:
        for document in corpus.documents(folder):
            yield "".join(document)


def _unless_blank(chunks):
    """Returns the document, or None if it has only whitespace."""
    held = []
    for chunk in chunks:
        held.append(chunk)
        if chunk.strip():
            return itertools.chain(held, chunks)
    return None
