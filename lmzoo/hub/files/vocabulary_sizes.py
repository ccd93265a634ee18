"""Limits on the size of vocabulary files, from the vocabulary size of the model."""

import math

from lmzoo.json_files import MAX_BYTES

__all__ = ["check_vocabulary_files", "count_pieces"]

# Published files have at most 140 bytes per token, and less than one MiB that does not grow with
# the vocabulary, such as the table of a normalizer.
_BYTES_PER_TOKEN, _OTHER_BYTES = 512, 4 << 20
_VALUES, _LINES, _PIECES = b"[{,", b"\n", b"\n\0"
# name -> what is counted, how many per token (published files have up to 8), how many beside
_COUNTED = {
    "tokenizer.json": (_VALUES, 12, 2**16),
    "vocab.json": (_VALUES, 12, 2**16),
    "merges.txt": (_LINES, 12, 2**16),
    "vocab.txt": (_LINES, 2, 2**10),
    "spiece.model": (_PIECES, 2, 2**10),
    "tokenizer.model": (_PIECES, 2, 2**10),
}
# The tag of a piece in the protobuf of a SentencePiece model, and how many other fields it has.
_PIECE_TAG, _MAX_OTHER_FIELDS = 0x0A, 8
_NAMES = {_VALUES: "lists, objects and commas", _LINES: "lines", _PIECES: "pieces"}
_CHUNK = 1 << 20


def check_vocabulary_files(folder, vocabulary_size):
    """Raises an error for files that are far too large for a vocabulary, before one is parsed.

    Parsed content takes up to thirty times the memory of its file, so the limit must fit the model.

    Args:
        folder: pathlib.Path.
        vocabulary_size: int. The model's.
    Raises:
        ValueError: if a file has more bytes, lines or values than so many tokens can have.
    """
    for name, (marks, per_token, others) in _COUNTED.items():
        path = folder / name
        if not path.is_file():
            continue
        most = min(MAX_BYTES, _OTHER_BYTES + _BYTES_PER_TOKEN * vocabulary_size)
        size = path.stat().st_size
        if size > most:
            _refuse(path, vocabulary_size, f"{most} bytes", size)
        most = others + per_token * vocabulary_size
        count = _count(path, marks, most)
        if count > most:
            _refuse(path, vocabulary_size, f"{most} {_NAMES[marks]}", f"{count} or more")


def _count(path, marks, most):
    """How often any of the bytes occurs in a file. Counting stops above `most`."""
    if marks == _PIECES:
        return count_pieces(path.read_bytes(), most)
    count = 0
    with open(path, "rb") as file:
        while count <= most and (chunk := file.read(_CHUNK)):
            count += sum(chunk.count(mark) for mark in marks)
    return count


def count_pieces(data, most=math.inf):
    """Counts the pieces of a SentencePiece model. Counting stops above `most`.

    The tokenizers can read the model but need TensorFlow. A model is a protobuf: each field is a
    tag (field number 1 for a piece), its length as a varint, and its content.

    Args:
        data: bytes.
        most: int.
    Returns:
        int; 0 if `data` is not such a model.
    """
    pieces = others = offset = 0
    try:
        while offset < len(data) and pieces <= most:
            tag, length, offset = data[offset], data[offset + 1], offset + 2
            if length > 127:
                length, offset = _read_varint(data, offset - 1)
            offset += length
            if tag == _PIECE_TAG:
                pieces += 1
            elif others < _MAX_OTHER_FIELDS and tag & 0x87 == 2:
                others += 1
            else:
                return 0
    except IndexError:
        return 0
    return pieces if offset <= len(data) else 0


def _read_varint(data, offset):
    """Returns the number and the offset behind it."""
    number = shift = 0
    while data[offset] > 127 and shift < 63:
        number |= (data[offset] & 127) << shift
        offset, shift = offset + 1, shift + 7
    return number | data[offset] << shift, offset + 1


def _refuse(path, vocabulary_size, limit, found):
    raise ValueError(
        f"{path.name} must have at most {limit} for the {vocabulary_size} tokens of its model. "
        f"Received: {str(path)!r} with {found}."
    )
