"""A corpus as one array of token ids: tokenized once into a cache that later runs open."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
import warnings

import numpy as np

import lmzoo
from lmzoo.data.corpus.cache import cache_folder, cache_key, open_or_build
from lmzoo.data.corpus.chunks import split_into_chunks
from lmzoo.data.progress import byte_progress

__all__ = [
    "TokenStream",
    "join_parts",
    "open_stream",
    "stream_tokens",
    "tokenize_texts",
    "write_stream",
]

# Incremented whenever the same corpus and tokenizer would give other bytes.
_FORMAT = 2
_CHUNKS_PER_CALL = 1024
_CHARACTERS_PER_CALL = 1 << 20
_CONCURRENT_CALLS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class TokenStream:
    """All documents of a corpus in one array, an end token before each.

    Where documents begin with a start token, as Llama's do, each ends with an end token instead.

    Args:
        token_ids: int array (num_tokens,), a memory map if the stream is on the disk.
        starts: int array (num_documents,), likewise. The index of each document's first token.
        first_token_id: int. The token that every document begins with.
        vocabulary_size: int.
        folder: pathlib.Path or None. The folder of its files; None for a stream in memory.
    """

    token_ids: np.ndarray
    starts: np.ndarray
    first_token_id: int
    vocabulary_size: int
    folder: pathlib.Path | None

    def __len__(self):
        return len(self.token_ids)


def stream_tokens(corpus, tokenizer, cache_dir=None, verbose=True, add_start=False):
    """Tokenizes a corpus into a stream on the disk, or opens the one an earlier run made.

    The cache key is a hash of the files' contents, the options of `Corpus`, the tokenizer's files
    and the release of lmzoo. The files' names are not part of it.

    Args:
        corpus: Corpus.
        tokenizer: tokenizer. Documents are tokenized as plain text, without special tokens.
        cache_dir: str, path or None. See `causal_lm`.
        verbose: bool. If False, no progress is shown.
        add_start: bool. If True, documents begin as prompts do: with the start token, where the
            tokenizer's `add_start_token` is True.
    Returns:
        TokenStream.
    Raises:
        ValueError: if the tokenizer has no end token, if it gives ids outside its vocabulary, if
            the corpus has no text, or if a JSON line is not an object with a string in its field.
        RuntimeError: if a file changes while it is read.
    """
    _check_end_token(tokenizer)
    before = corpus.fingerprint()
    description = {
        "format": _FORMAT,
        "release": lmzoo.__version__,
        "corpus": before,
        "tokenizer": _tokenizer_fingerprint(tokenizer),
    }
    first = _find_first(tokenizer, add_start)
    if first != tokenizer.end_token_id:
        description["first_token_id"] = int(first)

    def build(folder):
        replaced = collections.Counter()
        with byte_progress("Tokenizing", corpus.num_bytes, verbose) as advance:
            documents = corpus.documents(folder, advance, replaced)
            parts = _tokenize(documents, tokenizer, first)
            write_stream(folder, parts, first, tokenizer.vocabulary_size)
        if corpus.fingerprint() != before:
            paths = [str(source.path) for source in corpus.sources]
            raise RuntimeError(
                f"`files` must stay as they are while they are read. Received: one of {paths}, "
                "which changed. Start again."
            )
        _warn_about_invalid(replaced)

    return open_or_build(cache_folder(cache_dir) / cache_key(description), open_stream, build)


def tokenize_texts(documents, tokenizer, add_start=False):
    """Tokenizes documents into a stream in memory.

    The stream ends with an end token, so that the end of every document is a label.

    Args:
        documents: iterable of iterables of str.
        tokenizer: tokenizer with an end token.
        add_start: bool. As for `stream_tokens`.
    Returns:
        TokenStream. If no start token is added, its last document is empty.
    Raises:
        ValueError: if the tokenizer has no end token or gives ids outside its vocabulary, or if
            there is no text.
    """
    _check_end_token(tokenizer)
    first, end = _find_first(tokenizer, add_start), tokenizer.end_token_id
    parts = list(_tokenize(documents, tokenizer, first))
    if not parts:
        raise ValueError("There must be some text. Received: 0 texts with a visible character.")
    if first == end:
        parts.append((np.array([end]), np.array([0])))
    return join_parts(parts, first, tokenizer.vocabulary_size)


def join_parts(parts, first_token_id, vocabulary_size):
    """As `write_stream`, but returns a TokenStream in memory."""
    dtype = _dtype_for(vocabulary_size)
    token_ids, starts, num_tokens = [], [], 0
    for ids, begins in parts:
        _check_ids(ids, vocabulary_size)
        token_ids.append(ids.astype(dtype))
        starts.append(num_tokens + begins.astype(np.int64))
        num_tokens += ids.size
    return TokenStream(
        np.concatenate(token_ids), np.concatenate(starts), first_token_id, vocabulary_size, None
    )


def write_stream(folder, parts, first_token_id, vocabulary_size):
    """Writes a stream into an empty folder.

    Args:
        folder: pathlib.Path.
        parts: iterable of (int array (n,), int array (m,)): the next n ids, and the indices among
            them at which documents start.
        first_token_id: int.
        vocabulary_size: int. Ids take two bytes up to 65,536, four above.
    Raises:
        ValueError: if an id is not in the vocabulary, or if there is no id at all.
    """
    dtype = _dtype_for(vocabulary_size)
    num_tokens = num_documents = 0
    with open(folder / "tokens.bin", "wb") as tokens, open(folder / "starts.bin", "wb") as begins:
        for ids, starts in parts:
            _check_ids(ids, vocabulary_size)
            tokens.write(ids.astype(dtype).tobytes())
            begins.write((num_tokens + starts).astype("<u8").tobytes())
            num_tokens += ids.size
            num_documents += starts.size
    if not num_tokens:
        raise ValueError("`files` must hold some text. Received: 0 documents with text in them.")
    manifest = {
        "format": _FORMAT,
        "dtype": dtype.str,
        "num_tokens": num_tokens,
        "num_documents": num_documents,
        "first_token_id": int(first_token_id),
        "vocabulary_size": int(vocabulary_size),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def open_stream(folder):
    """Opens a stream.

    Args:
        folder: pathlib.Path.
    Returns:
        TokenStream, or None if the folder holds none or its files are incomplete.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        num_documents = manifest["num_documents"]
        token_ids = np.memmap(folder / "tokens.bin", dtype=manifest["dtype"], mode="r")
        # A stream that begins in the middle of a document may hold no start.
        starts = np.zeros(0, "<u8")
        if num_documents:
            starts = np.memmap(folder / "starts.bin", dtype="<u8", mode="r")
        if (len(token_ids), len(starts)) != (manifest["num_tokens"], num_documents):
            return None
        return TokenStream(
            token_ids, starts, manifest["first_token_id"], manifest["vocabulary_size"], folder
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _dtype_for(vocabulary_size):
    return np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<u4")


def _check_ids(ids, vocabulary_size):
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary_size:
        raise ValueError(
            "`tokenizer` must give ids from 0 to below `vocabulary_size`. Received: ids "
            f"from {ids.min()} to {ids.max()}, vocabulary_size={vocabulary_size}."
        )


def _check_end_token(tokenizer):
    if getattr(tokenizer, "end_token_id", None) is None:
        raise ValueError(
            "`tokenizer` must have an end token, which separates documents. Received: "
            f"{type(tokenizer).__name__} with end_token_id=None."
        )


def _find_first(tokenizer, add_start):
    """The token that every document begins with: the start token, or else an end token."""
    if add_start and getattr(tokenizer, "add_start_token", False):
        return tokenizer.start_token_id
    return tokenizer.end_token_id


def _tokenize(documents, tokenizer, first):
    """Yields (ids, indices at which documents start), about 1 MB of text at a time."""
    end = tokenizer.end_token_id
    if first == end:
        yield from _tokenize_concurrently(documents, tokenizer, [end])
        return
    # The end token before the first document goes, and one comes behind the last.
    is_first = True
    for ids, starts in _tokenize_concurrently(documents, tokenizer, [end, first]):
        yield (ids[1:], starts - 1) if is_first else (ids, starts)
        is_first = False
    if not is_first:
        yield np.array([end]), np.zeros(0, np.int64)


def _tokenize_concurrently(documents, tokenizer, borders):
    """Yields (ids, indices at which documents start), with `borders` before each document.

    A few calls run concurrently: on two cores byte-pair encoding went from 11 to 21 MB/s.
    """
    workers = min(_CONCURRENT_CALLS, os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        pending = collections.deque()
        for chunks, begins in _batches_of_chunks(documents):
            pending.append(pool.submit(_tokenize_chunks, chunks, begins, tokenizer, borders))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _batches_of_chunks(documents):
    """Yields (chunks of text, whether each begins a document): the input of one tokenizer call."""
    chunks, begins, size = [], [], 0
    for document in documents:
        first = True
        for chunk in split_into_chunks(document):
            chunks.append(chunk)
            begins.append(first)
            first = False
            size += len(chunk)
            if len(chunks) == _CHUNKS_PER_CALL or size >= _CHARACTERS_PER_CALL:
                yield chunks, begins
                chunks, begins, size = [], [], 0
    if chunks:
        yield chunks, begins


def _tokenize_chunks(chunks, begins, tokenizer, borders):
    """Returns the ids with `borders` before each document, and the indices of the last of these."""
    ragged = tokenizer.tokenize(chunks)
    starts, size = ragged.row_splits.numpy()[:-1][begins], len(borders)
    places, values = np.repeat(starts, size), np.tile(borders, len(starts))
    ids = np.insert(ragged.flat_values.numpy(), places, values)
    return ids, starts + size * np.arange(len(starts)) + size - 1


def _tokenizer_fingerprint(tokenizer):
    """Describes a tokenizer by the files it saves."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
        return {
            "class": type(tokenizer).__name__,
            "end_token_id": int(tokenizer.end_token_id),
            "vocabulary_size": int(tokenizer.vocabulary_size),
            "files": [
                [str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()]
                for path in files
            ],
        }


def _warn_about_invalid(replaced):
    if replaced:
        worst = ", ".join(f"{path}: {count}" for path, count in replaced.most_common(5))
        warnings.warn(
            f"{sum(replaced.values())} characters in {len(replaced)} file(s) were not valid UTF-8 "
            f"and became U+FFFD ({worst}).",
            stacklevel=4,
        )
