"""Training a vocabulary on text files or on an iterator of texts."""

import collections
import contextlib
import json
import os
import pathlib
import tempfile

from lmzoo.text_files import check_files, read_documents
from lmzoo.tokenizers.byte_pair.vocabulary import BYTE_CHARACTERS

__all__ = ["iterate_texts", "train_byte_pairs", "train_word_pieces"]

_MAX_LINE_CHARACTERS = 1 << 26
_MIN_ALPHABET = 1000


def train_byte_pairs(files_or_iterator, vocabulary_size, special_tokens, verbose=False):
    """Trains byte-level merges; the same text gives the same merges.

    Args:
        files_or_iterator: as for `iterate_texts`.
        vocabulary_size: int. How many tokens there may be, special ones and 256 bytes included.
        special_tokens: list of str. They take the first ids.
        verbose: bool. If True, progress is shown on the terminal.
    Returns:
        vocabulary: dict of str to int.
        merges: list of (str, str).
    Raises:
        ValueError: if `vocabulary_size` leaves no room for the bytes.
    """
    # Imported here: only training needs the library, and encoding must not depend on it.
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    smallest = len(BYTE_CHARACTERS) + len(special_tokens)
    if type(vocabulary_size) is not int or vocabulary_size < smallest:
        raise ValueError(
            f"`vocabulary_size` must be an int of at least {smallest}: 256 bytes and "
            f"{len(special_tokens)} special tokens. Received: {vocabulary_size!r}."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(BYTE_CHARACTERS),
        show_progress=verbose,
    )
    tokenizer.train_from_iterator(iterate_texts(files_or_iterator), trainer)
    # The library's Python face does not give its merges; its JSON form does.
    return tokenizer.get_vocab(), _read_merges(tokenizer)


def train_word_pieces(
    files_or_iterator, vocabulary_size, special_tokens, lowercase=True, verbose=False
):
    """Trains a WordPiece vocabulary; the same text gives the same tokens.

    All characters of the text become tokens, the most frequent ones first, but no more than 1000
    tokens or half of the vocabulary, whichever is more.

    Args:
        files_or_iterator: as for `iterate_texts`.
        vocabulary_size: int. How many tokens there may be, special ones included.
        special_tokens: list of str. They take the first ids.
        lowercase: bool. If True, text is lowered and loses its accents.
        verbose: bool. If True, progress is shown on the terminal.
    Returns:
        list of str, by id.
    Raises:
        ValueError: if `vocabulary_size` leaves no room for tokens.
    """
    # Imported here: only training needs the library, and encoding must not depend on it.
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    smallest = len(special_tokens) + 1
    if type(vocabulary_size) is not int or vocabulary_size < smallest:
        raise ValueError(
            f"`vocabulary_size` must be an int of at least {smallest}: {len(special_tokens)} "
            f"special tokens and a piece. Received: {vocabulary_size!r}."
        )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with _read_twice(files_or_iterator) as read:
        room = vocabulary_size - len(special_tokens)
        pieces = _find_alphabet(read(), tokenizer, min(max(_MIN_ALPHABET, room // 2), room))
        # Left to itself the trainer numbers characters in an order that differs from run to run,
        # and breaks ties by their numbers. As special tokens they keep the order of this list.
        first = list(dict.fromkeys([*special_tokens, *pieces]))
        alphabet = [piece for piece in pieces if len(piece) == 1]
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            special_tokens=first,
            # Exactly these: it would go on with characters of its own choice.
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=verbose,
        )
        tokenizer.train_from_iterator(read(), trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.get)


@contextlib.contextmanager
def _read_twice(files_or_iterator):
    """Gives a function that goes through the texts; those of an iterator are put into a file."""
    if _are_files(files_or_iterator):
        yield lambda: iterate_texts(files_or_iterator)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts"
        with path.open("w", encoding="utf-8", newline="") as file:
            for text in iterate_texts(files_or_iterator):
                # A NUL is nothing to this tokenizer, and a mark of binary files.
                file.write(text.replace("\0", "") + "\n")
        yield lambda: iterate_texts([path])


def _find_alphabet(texts, tokenizer, limit):
    """The tokens of one character, those of the most frequent characters first."""
    counts = collections.Counter()
    for text in texts:
        counts.update(text)
    cleaned = collections.Counter()
    for character, count in counts.items():
        for part in tokenizer.normalizer.normalize_str(character):
            cleaned[part] += count
    del cleaned[" "]
    pieces = []
    for character in sorted(cleaned, key=lambda character: (-cleaned[character], character)):
        # A punctuation mark or a Chinese character is a word, so it never goes on with one.
        around = tokenizer.normalizer.normalize_str(f"a{character}b")
        joins = len(tokenizer.pre_tokenizer.pre_tokenize_str(around)) == 1
        pieces += [character, f"##{character}"] if joins else [character]
        if len(pieces) >= limit:
            break
    return pieces[:limit]


def iterate_texts(files_or_iterator):
    """Reads text files, or an iterator of texts, piece by piece.

    Args:
        files_or_iterator: str, path, or list of these: files of UTF-8 text, or of JSON lines with
            a "text" each (`.jsonl`); both may be gzipped (`.gz`). Any other iterable: texts.
    Yields:
        str. Text files come in pieces of whole lines, JSON lines in one text each.
    Raises:
        TypeError: if an iterator gives something else than str.
        FileNotFoundError: if a file does not exist.
        ValueError: if there is no file, no text, or a file is empty or not UTF-8 text.
    """
    if _are_files(files_or_iterator):
        yield from _read_files(files_or_iterator)
        return
    if isinstance(files_or_iterator, bytes) or not hasattr(files_or_iterator, "__iter__"):
        raise TypeError(
            "`files_or_iterator` must be files or an iterator of texts. "
            f"Received: {files_or_iterator!r:.80}."
        )
    found = False
    for text in files_or_iterator:
        if not isinstance(text, str):
            raise TypeError(f"`files_or_iterator` must give str. Received: {text!r:.80}.")
        found = found or bool(text)
        yield text
    if not found:
        raise ValueError("`files_or_iterator` must give text. Received: an iterator of none.")


def _are_files(files_or_iterator):
    return isinstance(files_or_iterator, str | os.PathLike | list | tuple)


def _read_files(files):
    files = files if isinstance(files, list | tuple) else [files]
    for file in files:
        if isinstance(file, str | os.PathLike) and not os.path.exists(file):
            raise FileNotFoundError(
                f"`files_or_iterator` must name files. Received: {str(file)!r:.200}, which does "
                "not exist. Write iter([text]) to train on texts."
            )
    for source in check_files(files):

        def refuse(count, path=source.path):
            if count > 0:
                raise ValueError(
                    f"`files_or_iterator` must name UTF-8 text. Received: {str(path)!r}, which "
                    "has bytes that are not UTF-8."
                )

        for document in read_documents(source, replaced=refuse):
            yield from _join_lines(document)


def _join_lines(parts):
    """Joins parts of text to pieces of whole lines."""
    held = ""
    for part in parts:
        lines, end, rest = (held + part).rpartition("\n")
        # A line without an end is cut, as it must fit into the memory.
        if not end and len(rest) < _MAX_LINE_CHARACTERS:
            held = rest
            continue
        if end:
            yield lines + end
            held = rest
        else:
            yield rest
            held = ""
    if held:
        yield held


def _read_merges(tokenizer):
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
