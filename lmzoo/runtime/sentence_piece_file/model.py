"""SentencePiece model files: parsed and checked before a library sees them, and written."""

import dataclasses
import enum
import re
import struct

from .normalization_table import check_rules
from .protobuf_wire import (
    BYTES,
    FIXED32,
    VARINT,
    read_fields,
    write_bytes,
    write_float,
    write_varint,
)

__all__ = ["MAX_BYTES", "MODEL_TYPES", "PieceType", "SentencePieceModel", "build_model"]

MAX_BYTES = 64 << 20
_MAX_PIECES = 1_000_000
_MAX_PIECE_BYTES = 1024
_MAX_SCORE = 1e9
# Their numbers in the file.
MODEL_TYPES = {"unigram": 1, "bpe": 2}
_BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")
# The parts of the file; of each the fields that matter, their numbers, kinds and defaults.
_PIECES, _TRAINER, _NORMALIZER, _TESTS, _DENORMALIZER = range(1, 6)
_PIECE_FIELDS = {
    "piece": (1, BYTES, b""),
    "score": (2, FIXED32, bytes(4)),
    "type": (3, VARINT, 1),
}
_TRAINER_FIELDS = {
    "model_type": (3, VARINT, 1),
    "treat_whitespace_as_suffix": (24, VARINT, 0),
    "byte_fallback": (35, VARINT, 0),
    "unk_surface": (44, BYTES, " \u2047 ".encode()),
}
_NORMALIZER_FIELDS = {
    "precompiled_charsmap": (2, BYTES, b""),
    "add_dummy_prefix": (3, VARINT, 1),
    "remove_extra_whitespaces": (4, VARINT, 1),
    "escape_whitespaces": (5, VARINT, 1),
}


class PieceType(enum.IntEnum):
    """What a piece is for: text makes only normal, user-defined and byte pieces."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


_TYPES = {int(piece_type): piece_type for piece_type in PieceType}
_FLOAT = struct.Struct("<f")


@dataclasses.dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says, as far as it matters for ids.

    Attributes:
        pieces: tuple of str, by id.
        scores: tuple of float, by id.
        types: tuple of PieceType, by id.
        model_type: str. "unigram" or "bpe".
        byte_fallback: bool. If True, unknown characters become pieces of one byte each.
        unknown_surface: str. What the unknown piece stands for in text.
        rules: bytes. How text is normalised; empty if it is not.
        add_dummy_prefix: bool. If True, a space is put before a text.
        remove_extra_whitespaces: bool. If True, spaces at the ends and all but one between go.
    """

    pieces: tuple
    scores: tuple
    types: tuple
    model_type: str = "unigram"
    byte_fallback: bool = False
    unknown_surface: str = " \u2047 "
    rules: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True

    def __post_init__(self):
        _check_pieces(self)
        check_rules(self.rules)

    @classmethod
    def of_bytes(cls, rules):
        """A model whose pieces are the 256 bytes: it normalizes text and changes nothing else.

        Args:
            rules: bytes. A `precompiled_charsmap`.
        Returns:
            SentencePieceModel. Its ids from 2 on are the bytes.
        """
        # A model needs an unknown and a normal piece.
        names = ("<unk>", "\ufdd0", *(f"<0x{byte:02X}>" for byte in range(256)))
        return cls(
            names,
            (0.0,) * len(names),
            (PieceType.UNKNOWN, PieceType.NORMAL, *[PieceType.BYTE] * 256),
            model_type="bpe",
            byte_fallback=True,
            rules=rules,
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
        )

    @classmethod
    def parse(cls, data):
        """Reads a model file.

        Args:
            data: bytes.
        Returns:
            SentencePieceModel.
        Raises:
            ValueError: if it is no such file, is cut off, or would not be safe to use.
        """
        if not 0 < len(data) <= MAX_BYTES:
            raise ValueError(f"it has {len(data)} bytes, not 1 to {MAX_BYTES}")
        # Three lists: a million tuples would keep the garbage collector busy.
        parts, pieces, scores, types = {}, [], [], []
        for number, kind, value in read_fields(data):
            if kind != BYTES or not _PIECES <= number <= _DENORMALIZER or number in parts:
                raise ValueError(f"it is another protocol buffer: field {number} is not expected")
            if number == _PIECES:
                piece, score, piece_type = _read_piece(len(pieces), value)
                pieces.append(piece)
                scores.append(score)
                types.append(piece_type)
            else:
                parts[number] = value
        for number, name in ((_TRAINER, "trainer_spec"), (_NORMALIZER, "normalizer_spec")):
            if number not in parts:
                raise ValueError(f"it is cut off or another protocol buffer: it has no {name}")
        if _read_part(parts.get(_DENORMALIZER, b""), _NORMALIZER_FIELDS)["precompiled_charsmap"]:
            raise ValueError("it has a denormalizer_spec, which is not supported")
        specs = _read_specs(parts[_TRAINER], parts[_NORMALIZER])
        return cls(tuple(pieces), tuple(scores), tuple(types), **specs)

    def serialize(self, hidden=()):
        """Writes the model anew, with nothing in it but what is known here.

        Args:
            hidden: iterable of int. Ids that no text shall make.
        Returns:
            bytes.
        """
        types = list(self.types)
        for index in hidden:
            if types[index] is not PieceType.UNKNOWN:
                types[index] = PieceType.CONTROL
        pieces = (
            write_bytes(1, piece.encode()) + write_float(2, score) + write_varint(3, piece_type)
            for piece, score, piece_type in zip(self.pieces, self.scores, types, strict=True)
        )
        trainer = [
            write_varint(3, MODEL_TYPES[self.model_type]),
            write_varint(4, len(self.pieces)),
            write_varint(35, self.byte_fallback),
            write_varint(40, types.index(PieceType.UNKNOWN)),
            write_bytes(44, self.unknown_surface.encode()),
        ]
        normalizer = [
            write_bytes(2, self.rules),
            write_varint(3, self.add_dummy_prefix),
            write_varint(4, self.remove_extra_whitespaces),
        ]
        return b"".join(
            [
                *(write_bytes(_PIECES, piece) for piece in pieces),
                write_bytes(_TRAINER, b"".join(trainer)),
                write_bytes(_NORMALIZER, b"".join(normalizer)),
            ]
        )


def build_model(path, *parts, **options):
    """Builds the bytes of a model file from what a `tokenizer.json` says.

    Args:
        path: pathlib.Path. That file, for the error.
        parts, options: the arguments of `SentencePieceModel`.
    Returns:
        bytes.
    Raises:
        ValueError: if they do not make a model.
    """
    try:
        return SentencePieceModel(*parts, **options).serialize()
    except ValueError as error:
        raise ValueError(
            f"{path.name} must describe a SentencePiece model. Received: {str(path)!r}, and "
            f"{error}."
        ) from error


def _read_piece(index, data):
    if index >= _MAX_PIECES:
        raise ValueError(f"it has more than {_MAX_PIECES} pieces")
    text, score, piece_type = _read_usual_piece(data) or _read_part(data, _PIECE_FIELDS).values()
    # Here and not only at the end: a broken file is refused before all of it is read.
    if not text:
        raise ValueError(f"piece {index} is empty")
    try:
        piece = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"piece {index} is not UTF-8: {text[:40]!r}") from error
    if piece_type not in _TYPES:
        raise ValueError(f"piece {index} is of the unknown type {piece_type}")
    return piece, _FLOAT.unpack(score)[0], _TYPES[piece_type]


def _read_usual_piece(data):
    """A piece as the library writes it, ten times faster: mT5 has 250,000 of them."""
    end = data[1] + 2 if len(data) > 1 and data[0] == 0x0A and data[1] < 128 else len(data)
    if data[end : end + 1] != b"\x15":
        return None
    rest = data[end + 5 :]
    if not rest and len(data) == end + 5:
        return data[2:end], data[end + 1 :], PieceType.NORMAL
    if len(rest) == 2 and rest[0] == 0x18 and rest[1] < 128:
        return data[2:end], data[end + 1 : end + 5], rest[1]
    return None


def _check_piece(index, piece, score):
    # The op's own table of pieces ends a piece at a NUL.
    if not piece or "\0" in piece or len(piece.encode()) > _MAX_PIECE_BYTES:
        raise ValueError(
            f"piece {index} is not 1 to {_MAX_PIECE_BYTES} bytes without a NUL: {piece!r:.60}"
        )
    if not abs(score) <= _MAX_SCORE:
        raise ValueError(
            f"piece {index} has a score that is not from -1e9 to 1e9: {score} of {piece!r:.60}"
        )


def _check_pieces(model):
    if not 0 < len(model.pieces) <= _MAX_PIECES:
        raise ValueError(f"it has {len(model.pieces)} pieces, not 1 to {_MAX_PIECES}")
    places = {}
    for index, piece in enumerate(model.pieces):
        _check_piece(index, piece, model.scores[index])
        if places.setdefault(piece, index) != index:
            raise ValueError(f"pieces {places[piece]} and {index} are the same: {piece!r:.60}")
    if (count := model.types.count(PieceType.UNKNOWN)) != 1:
        raise ValueError(f"it has {count} unknown pieces, not one")
    if PieceType.NORMAL not in model.types:
        raise ValueError("it has no normal piece")
    names = {
        piece
        for piece, piece_type in zip(model.pieces, model.types, strict=True)
        if piece_type is PieceType.BYTE
    }
    if len(names) != 256 * model.byte_fallback or not all(map(_BYTE_PIECE.fullmatch, names)):
        raise ValueError(
            f"it has {len(names)} pieces of bytes, with byte_fallback={model.byte_fallback}"
        )


def _read_specs(trainer, normalizer):
    trainer = _read_part(trainer, _TRAINER_FIELDS)
    normalizer = _read_part(normalizer, _NORMALIZER_FIELDS)
    names = {number: name for name, number in MODEL_TYPES.items()}
    if trainer["model_type"] not in names:
        raise ValueError(
            f"its model_type is {trainer['model_type']}, neither 1 (unigram) nor 2 (bpe)"
        )
    for fields, name, wanted in (
        (trainer, "treat_whitespace_as_suffix", 0),
        (normalizer, "escape_whitespaces", 1),
    ):
        if fields[name] != wanted:
            raise ValueError(f"its {name} is {fields[name]}, which is not supported")
    surface = trainer["unk_surface"]
    try:
        surface = surface.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"its unk_surface is not UTF-8: {surface[:40]!r}") from error
    return {
        "model_type": names[trainer["model_type"]],
        "byte_fallback": bool(trainer["byte_fallback"]),
        "unknown_surface": surface,
        "rules": normalizer["precompiled_charsmap"],
        "add_dummy_prefix": bool(normalizer["add_dummy_prefix"]),
        "remove_extra_whitespaces": bool(normalizer["remove_extra_whitespaces"]),
    }


def _read_part(data, known):
    """The fields of a part by name; as in every protocol buffer the last one of a number counts."""
    names = {number: (name, kind) for name, (number, kind, _) in known.items()}
    found = {name: default for name, (_, _, default) in known.items()}
    for number, kind, value in read_fields(data):
        name, expected = names.get(number, (None, kind))
        if kind != expected:
            raise ValueError(f"it is another protocol buffer: its {name} is of kind {kind}")
        if name:
            found[name] = value
    return found
