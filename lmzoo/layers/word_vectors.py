"""Pretrained word vectors (GloVe, word2vec, fastText) as an embedding matrix."""

import gzip
import io
import os
import pathlib
import stat
import zlib

import numpy as np

from lmzoo.layers.checks import check_size

__all__ = ["load_word_vectors"]

# Bytes. No word of a published file comes near; a number takes at most 25.
_LONGEST_WORD = 1000
_LONGEST_NUMBER = 40
_LARGEST_NUMBER = 1e6
# A `.gz` file of vectors is about half their size.
_LARGEST_EXPANSION = 100


def load_word_vectors(file, tokenizer, *, max_dim=2048, seed=0):
    r"""Reads word vectors into an embedding matrix for the vocabulary of a tokenizer.

    The format is found from the content: GloVe's text (`word v1 ... vD` on each line), word2vec's
    text (the same behind a line `number_of_words D`, as fastText's `.vec`), or word2vec's binary
    form (that line, then words with D float32). Each may be gzipped. The file is read as a stream;
    in memory are only the vectors of the vocabulary.

    A token gets the vector of its text without the space in front, or else of its text in lower
    case. Pieces inside a word (`##ing`) and special tokens get none. Rows without a vector are
    drawn from a normal distribution with mean and standard deviation of those with one.

    Args:
        file: str or path.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or an object with `vocabulary_size`,
            `id_to_token`, `detokenize` and `special_tokens`.
        max_dim: int. The largest D to accept.
        seed: int. Seed of the rows without a vector.
    Returns:
        (matrix, share): float32 (V, D), V the tokenizer's `vocabulary_size`, and the share of the V
        tokens that were found, a float from 0 to 1.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not in one of the formats, not regular or truncated, if a vector
            is not finite or has another length, if D exceeds `max_dim`, or if no token is found.
    Reference: Pennington et al. 2014, https://aclanthology.org/D14-1162; Mikolov et al. 2013,
        https://arxiv.org/abs/1301.3781, and the file formats of the code published with them.

    Example:
        matrix, share = lmzoo.layers.load_word_vectors("glove.6B.300d.txt", tokenizer)
        embedding = keras.layers.Embedding(*matrix.shape, weights=[matrix])
    """
    check_size(max_dim=max_dim)
    path = pathlib.Path(file)
    if not path.exists():
        raise FileNotFoundError(f"`file` must exist. Received: file={str(path)!r}.")
    # A pipe may never end, and reading it may wait for ever.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"`file` must be a regular file. Received: file={str(path)!r}.")
    tokens_of = _words_of_tokens(tokenizer)
    with open(path, "rb") as raw:
        stream = io.BufferedReader(_Unpacked(raw, path)) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
        vectors = dict(_read_vectors(stream, path, tokens_of, max_dim))
    matrix, share = _fill_matrix(vectors, tokens_of, tokenizer.vocabulary_size, seed)
    if matrix is None:
        raise ValueError(
            "`file` must have a vector for at least one token of `tokenizer`. Received: "
            f"file={str(path)!r} with none."
        )
    return matrix, share


def _words_of_tokens(tokenizer):
    """The words to look for, dict of word (bytes) to the ids of the tokens with this text."""
    ids = np.arange(tokenizer.vocabulary_size, dtype=np.int32)
    # (V,) -> (V, 1): each token is a text of its own
    texts = np.asarray(tokenizer.detokenize(ids[:, None])).tolist()
    special = set(tokenizer.special_tokens)
    tokens_of = {}
    for index, text in enumerate(texts):
        token = tokenizer.id_to_token(index)
        word = text if isinstance(text, str) else text.decode("utf-8", errors="ignore")
        word = word.strip()
        if word and token not in special and not (token.startswith("##") and token != "##"):
            tokens_of.setdefault(word.encode("utf-8"), []).append(index)
    return tokens_of


def _fill_matrix(vectors, tokens_of, vocabulary_size, seed):
    """Returns the matrix and the share of tokens with a vector; (None, 0.0) without any."""
    found = {}
    for word, ids in tokens_of.items():
        vector = vectors.get(word)
        if vector is None:
            vector = vectors.get(_lower(word))
        if vector is not None:
            found.update(dict.fromkeys(ids, vector))
    if not found:
        return None, 0.0
    indices = np.fromiter(found, np.int64, len(found))
    rows = np.stack(list(found.values()))
    matrix = np.random.default_rng(seed).standard_normal(
        (vocabulary_size, rows.shape[1]), dtype=np.float32
    )
    matrix *= rows.std(axis=0)
    matrix += rows.mean(axis=0)
    matrix[indices] = rows
    return matrix, len(found) / vocabulary_size


def _lower(word):
    return word.decode("utf-8").lower().encode("utf-8")


def _read_vectors(stream, path, tokens_of, max_dim):
    """Yields (word, float32 (D,)) of the words that are looked for, in the order of the file."""
    longest = _LONGEST_WORD + _LONGEST_NUMBER * max_dim
    wanted = set(tokens_of) | {_lower(word) for word in tokens_of}
    first = _read_line(stream, longest, path, 1)
    fields = first.rstrip().split(b" ")
    if len(fields) == 2 and all(field.isdigit() and len(field) < 16 for field in fields):
        num_words, dim = map(int, fields)
        _check_dim(dim, max_dim, path)
        read = _read_text if _begins_with_text(stream.peek(longest)) else _read_binary
        yield from read(stream, path, dim, wanted, num_words)
        return
    dim = len(fields) - 1
    _check_dim(dim, max_dim, path)
    vector = _parse_vector(fields[1:], path, 1)
    if fields[0] in wanted:
        wanted.discard(fields[0])
        yield fields[0], vector
    yield from _read_text(stream, path, dim, wanted, None)


def _check_dim(dim, max_dim, path):
    if not 1 <= dim <= max_dim:
        raise ValueError(
            "`file` must have vectors of 1 to `max_dim` numbers. Received: "
            f"file={str(path)!r} with {dim} numbers, max_dim={max_dim}."
        )


def _begins_with_text(beginning):
    """Whether a word with numbers in text follows, and not the bytes of float32."""
    numbers = beginning.split(b"\n", 1)[0].partition(b" ")[2].strip()
    return bool(numbers) and set(numbers.lower()) <= set(b"0123456789+-.einfa \r")


def _read_text(stream, path, dim, wanted, num_words):
    """Reads lines of a word and `dim` numbers; with `num_words`, exactly so many."""
    longest = _LONGEST_WORD + _LONGEST_NUMBER * dim
    first_line = 2
    count = 0
    while line := _read_line(stream, longest, path, first_line + count):
        # Some words of GloVe have spaces in them.
        word, *numbers = line.rstrip().rsplit(b" ", dim)
        if len(numbers) != dim:
            raise ValueError(
                f"{path}:{first_line + count}: A line must have a word and {dim} numbers. "
                f"Received: {line[:60]!r}."
            )
        if word in wanted:
            # Of a word that comes twice, the first vector counts.
            wanted.discard(word)
            yield word, _parse_vector(numbers, path, first_line + count)
        count += 1
    if num_words is not None and count != num_words:
        raise ValueError(
            f"`file` must have as many words as its first line says. Received: file={str(path)!r} "
            f"with {count} of {num_words}. Is it truncated?"
        )


def _read_binary(stream, path, dim, wanted, num_words):
    """Reads words of word2vec's binary form, each with `dim` float32 behind it."""
    for number in range(num_words):
        word = _read_word(stream, path, number)
        data = stream.read(4 * dim)
        if len(data) != 4 * dim:
            raise ValueError(
                f"`file` must have as many words as its first line says. Received: "
                f"file={str(path)!r} with {number} of {num_words}. Is it truncated?"
            )
        if word in wanted:
            wanted.discard(word)
            vector = np.frombuffer(data, "<f4").astype(np.float32)
            _check_finite(vector, f"{path}, word {number}")
            yield word, vector
    if rest := stream.read(16).strip():
        raise ValueError(
            f"`file` must end after {num_words} words. Received: file={str(path)!r} with "
            f"{rest!r} there."
        )


def _read_word(stream, path, number):
    """The next word, up to its space. The original tool ends each vector with a newline."""
    word = b""
    while len(word) <= _LONGEST_WORD:
        chunk = stream.peek(1)[: _LONGEST_WORD + 2]
        end = chunk.find(b" ")
        word += stream.read(end + 1 if end >= 0 else len(chunk))
        if end >= 0 or not chunk:
            break
    if not word.endswith(b" ") or len(word) > _LONGEST_WORD:
        raise ValueError(
            f"{path}, word {number}: A word must end with a space after at most {_LONGEST_WORD} "
            f"bytes. Received: {word[:40]!r}."
        )
    return word[:-1].lstrip(b"\n")


def _read_line(stream, longest, path, number):
    line = stream.readline(longest + 1)
    if len(line) > longest:
        raise ValueError(
            f"{path}:{number}: A line must have at most {longest} bytes. Received: "
            f"{line[:40]!r}..., which is longer. Is it a file of word vectors?"
        )
    return line


def _parse_vector(numbers, path, line):
    try:
        vector = np.array([float(number) for number in numbers])
    except ValueError as error:
        raise ValueError(
            f"{path}:{line}: A vector must be numbers. Received: {numbers[0][:40]!r} and others, "
            f"which gives: {str(error)[:80]}."
        ) from error
    _check_finite(vector, f"{path}:{line}")
    return vector.astype(np.float32)


def _check_finite(vector, where):
    is_good = np.abs(vector) <= _LARGEST_NUMBER
    if not is_good.all():
        raise ValueError(
            f"{where}: A vector must have finite numbers of at most {_LARGEST_NUMBER:.0e}. "
            f"Received: {vector[~is_good][0]}."
        )


class _Unpacked(io.RawIOBase):
    """A gzip file that is read up to a bounded size."""

    def __init__(self, raw, path):
        self._gzip = gzip.GzipFile(fileobj=raw)
        self._path = path
        self._left = _LARGEST_EXPANSION * os.fstat(raw.fileno()).st_size

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = self._gzip.read(len(buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"`file` must be a whole gzip file. Received: file={str(self._path)!r}, which "
                f"gives: {error}"
            ) from error
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(
                f"`file` must unpack to at most {_LARGEST_EXPANSION} times its size. Received: "
                f"file={str(self._path)!r}, which has more. Unpack it yourself if you trust it."
            )
        buffer[: len(data)] = data
        return len(data)
