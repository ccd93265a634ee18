"""Leaving out documents that came before, with the memory of a few documents only."""

import codecs
import hashlib
import pathlib
import sqlite3
import tempfile

__all__ = ["unique_documents"]

_IN_MEMORY = 8 << 20
_BLOCK = 1 << 20


def unique_documents(documents, folder):
    """Passes each document on the first time its text appears.

    A document is held (on the disk beyond 8 MiB) until its end, because only then is its hash
    known. The hashes are in an SQLite file, so memory stays flat.

    Args:
        documents: iterable of iterables of str.
        folder: str or path. Where the hashes are kept meanwhile; nothing stays there.
    Yields:
        iterator of str.
    """
    path = pathlib.Path(folder) / "seen.sqlite"
    seen = sqlite3.connect(path, isolation_level=None)
    try:
        # It is thrown away at the end, so a crash has nothing to lose.
        seen.execute("PRAGMA journal_mode = OFF")
        seen.execute("PRAGMA synchronous = OFF")
        seen.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID")
        seen.execute("BEGIN")
        for document in documents:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder) as held:
                digest = hashlib.blake2b(digest_size=16)
                for chunk in document:
                    data = chunk.encode("utf-8")
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
