"""Whether a vocabulary's files are as large as a model's vocabulary can make them."""

import math

from lmzoo.json_files import MAX_BYTES

__all__ = ["check_vocabulary_files", "count_pieces"]

# Published files have at most 140 bytes a word, and what does not grow with the vocabulary, such
# as a normaliser's table, has less than one MiB.
_BYTES_A_WORD, _MORE_BYTES = 512, 4 << 20
_VALUES, _LINES, _PIECES = b"[{,", b"\n", b"\n\0"
# name -> what is counted, how many of it a word may have, published are 8, and how many all may
# have beside
_COUNTED = {
    "tokenizer.json": (_VALUES, 12, 2**16),
    "vocab.json": (_VALUES, 12, 2**16),
    "merges.txt": (_LINES, 12, 2**16),
    "vocab.txt": (_LINES, 2, 2**10),
    "spiece.model": (_PIECES, 2, 2**10),
    "tokenizer.model": (_PIECES, 2, 2**10),
}
# The first byte of a piece in a SentencePiece model, and how many parts are none.
_PIECE, _MOST_OTHERS = 0x0A, 8
_WORDS = {_VALUES: "lists, objects and commas", _LINES: "lines", _PIECES: "pieces"}
_CHUNK = 1 << 20


def check_vocabulary_files(folder, vocabulary_size):
    """Refuses files that are far too large for a vocabulary, before one of them is parsed.

    What is parsed takes up to thirty times the memory of its file, so that a small model must not
    ask for more than it is worth.

    Args:
        folder: pathlib.Path.
        vocabulary_size: int. How many words the model has.
    Raises:
        ValueError: if a file has more bytes, lines or values than so many words can have.
    """
    for name, (marks, marks_a_word, more_marks) in _COUNTED.items():
        path = folder / name
        if not path.is_file():
            continue
        most = min(MAX_BYTES, _MORE_BYTES + _BYTES_A_WORD * vocabulary_size)
        size = path.stat().st_size
        if size > most:
            _refuse(path, vocabulary_size, f"{most} bytes", size)
        most = more_marks + marks_a_word * vocabulary_size
        count = _count(path, marks, most)
        if count > most:
            _refuse(path, vocabulary_size, f"{most} {_WORDS[marks]}", f"{count} or more")


def _count(path, marks, most):
    """How often bytes are in a file; no further than to more than `most`."""
    if marks == _PIECES:
        return count_pieces(path.read_bytes(), most)
    count = 0
    with open(path, "rb") as file:
        while count <= most and (chunk := file.read(_CHUNK)):
            count += sum(chunk.count(mark) for mark in marks)
    return count


def count_pieces(data, most=math.inf):
    """How many pieces a SentencePiece model has; no further than to more than `most`.

    Here and not by the tokenizers, which need TensorFlow. The parts of a model all have a number,
    which is 1 for a piece, their length, seven bits a byte, and their content.

    Args:
        data: bytes.
        most: int.
    Returns:
        int; 0 if it is no such model.
    """
    pieces = others = place = 0
    try:
        while place < len(data) and pieces <= most:
            tag, length, place = data[place], data[place + 1], place + 2
            if length > 127:
                length, place = _read_length(data, place - 1)
            place += length
            if tag == _PIECE:
                pieces += 1
            elif others < _MOST_OTHERS and tag & 0x87 == 2:
                others += 1
            else:
                return 0
    except IndexError:
        return 0
    return pieces if place <= len(data) else 0


def _read_length(data, place):
    """A length of more than seven bits, and the place behind it."""
    length = shift = 0
    while data[place] > 127 and shift < 63:
        length |= (data[place] & 127) << shift
        place, shift = place + 1, shift + 7
    return length | data[place] << shift, place + 1


def _refuse(path, words, limit, found):
    raise ValueError(
        f"{path.name} must have at most {limit} for the {words} words of its model. Received: "
        f"{str(path)!r} with {found}."
    )
