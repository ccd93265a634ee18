"""What normalizers make of every code point, and the class that comes out, as tables."""

import dataclasses
import functools
import pathlib

import numpy as np

__all__ = [
    "CODE_POINT_BITS",
    "IRREGULAR",
    "ISOLATED",
    "LETTER",
    "MOVES",
    "SPACE",
    "CharacterTables",
    "make_bert_tables",
    "make_canonical_tables",
    "make_decomposition_tables",
    "make_whitespace_tables",
    "read_chinese_ranges",
    "read_compositions",
    "read_combining_classes",
]

# An entry is a code point with its class above it. The higher the class, the more is to be done.
CODE_POINT_BITS = 21
SPACE, ISOLATED, LETTER, IRREGULAR, MOVES = (code << CODE_POINT_BITS for code in (0, 1, 2, 4, 8))
_SIZE = 0x110000
# What decomposes into several characters and is never composed again: first and last code points,
# from Unicode's list of exclusions, which no later version may change.
_EXCLUDED = (
    *((0x0344, 0x0344), (0x0958, 0x095F), (0x09DC, 0x09DD), (0x09DF, 0x09DF), (0x0A33, 0x0A33)),
    *((0x0A36, 0x0A36), (0x0A59, 0x0A5B), (0x0A5E, 0x0A5E), (0x0B5C, 0x0B5D), (0x0F43, 0x0F43)),
    *((0x0F4D, 0x0F4D), (0x0F52, 0x0F52), (0x0F57, 0x0F57), (0x0F5C, 0x0F5C), (0x0F69, 0x0F69)),
    *((0x0F73, 0x0F73), (0x0F75, 0x0F76), (0x0F78, 0x0F78), (0x0F81, 0x0F81), (0x0F93, 0x0F93)),
    *((0x0F9D, 0x0F9D), (0x0FA2, 0x0FA2), (0x0FA7, 0x0FA7), (0x0FAC, 0x0FAC), (0x0FB9, 0x0FB9)),
    *((0x2ADC, 0x2ADC), (0xFB1D, 0xFB4E), (0x1D15E, 0x1D164), (0x1D1BB, 0x1D1C0)),
)
# The classes of the file, by their numbers; the last one is deleted, an expansion to nothing.
_CLASSES = (LETTER, ISOLATED, SPACE)
_DELETED = 3


@dataclasses.dataclass(frozen=True)
class CharacterTables:
    """What becomes of every code point.

    Attributes:
        entries: int32 (0x110000,). A class plus the code point that comes out; `IRREGULAR` plus a
            row of `splits` where none or several do; `MOVES` on top where, in Unicode's order of
            marks, the place of what comes out depends on the neighbours.
        expansions: int32 (n,). Entries.
        splits: int32 (rows + 1,). Where each expansion begins in `expansions`, and n. Rows from the
        last one on expand to nothing.
    """

    entries: np.ndarray
    expansions: np.ndarray
    splits: np.ndarray


# Four megabytes each, which most tokenizers of a process share.
@functools.lru_cache(maxsize=4)
def make_bert_tables(lowercase, strip_accents, split_chinese):
    """Makes the tables of BERT's normalizer: deletion, marks, case, and the class that comes out.

    Args:
        lowercase: bool.
        strip_accents: bool. If True, text is decomposed (NFD) and non-spacing marks go.
        split_chinese: bool. If True, each Chinese character is a word.
    Returns:
        CharacterTables.
    """
    file = _read_file()
    classes = file["class"]
    entries = np.array([*_CLASSES, SPACE], np.int32)[classes] + np.arange(_SIZE, dtype=np.int32)
    if split_chinese:
        entries = np.where(file["chinese"] > 0, ISOLATED + np.arange(_SIZE), entries)
    plain = entries.astype(np.int32)
    changed = {int(point): () for point in np.flatnonzero(classes == _DELETED)}
    stripped = file["decomposition"] if strip_accents else {}
    marks = set(np.flatnonzero(file["mark"] > 0).tolist()) if strip_accents else set()
    lowered = file["lower"] if lowercase else {}
    for point in {*stripped, *marks, *lowered} - changed.keys():
        kept = [part for part in stripped.get(point, (point,)) if part not in marks]
        parts = [low for part in kept for low in lowered.get(part, (part,))]
        changed[point] = tuple(int(plain[part]) for part in parts)
    moving = (file["order"] > 0) & (file["mark"] == 0) & strip_accents
    for point, parts in stripped.items():
        moving[point] |= any(moving[part] for part in parts)
    return _pack(plain, changed, moving)


def make_whitespace_tables(lowercase, strip_accents):
    """Makes the tables of NFD, lowercasing and accent stripping, with the classes of `Whitespace`.

    Args:
        lowercase: bool.
        strip_accents: bool. If True, text is decomposed (NFD) and all marks are deleted.
    Returns:
        CharacterTables. A code point is `LETTER`, `SPACE`, or `ISOLATED` if it is neither.
    """
    file = _read_file()
    classes = np.array(_CLASSES, np.int32)[file["word"]]
    plain = classes + np.arange(_SIZE, dtype=np.int32)
    stripped = file["decomposition"] if strip_accents else {}
    marks = set(np.flatnonzero(file["any_mark"] > 0).tolist()) if strip_accents else set()
    lowered = file["lower"] if lowercase else {}
    changed = {}
    for point in {*stripped, *marks, *lowered}:
        parts = [
            low for part in stripped.get(point, (point,)) for low in lowered.get(part, (part,))
        ]
        changed[point] = tuple(int(plain[part]) for part in parts if part not in marks)
    return _pack(plain, changed, np.zeros(_SIZE, bool))


@functools.cache
def make_decomposition_tables():
    """Makes the tables of the canonical decomposition (NFD) alone; what BERT deletes goes.

    Returns:
        CharacterTables, whose entries are code points without a class.
    """
    file = _read_file()
    changed = {int(point): () for point in np.flatnonzero(file["class"] == _DELETED)}
    changed = {**file["decomposition"], **changed}
    return _pack(np.arange(_SIZE, dtype=np.int32), changed, np.zeros(_SIZE, bool))


def make_canonical_tables():
    """Makes the tables of the canonical decomposition (NFD) alone.

    Returns:
        CharacterTables, whose entries are code points without a class.
    """
    plain = np.arange(_SIZE, dtype=np.int32)
    return _pack(plain, _read_file()["decomposition"], np.zeros(_SIZE, bool))


def read_chinese_ranges():
    """Reads which characters BERT takes for Chinese.

    Returns:
        list of (int, int). First and last code points.
    """
    edges = np.flatnonzero(np.diff(_read_file()["chinese"], prepend=0, append=0))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def read_compositions():
    """Reads which two code points are one in composed text (NFC).

    Returns:
        dict of (first, second) to int. The first one may be composed itself.
    """
    made = {}
    for point, parts in _read_file()["decomposition"].items():
        if len(parts) > 1 and not any(first <= point <= last for first, last in _EXCLUDED):
            # A later one with the same parts, as the sign of the unit angstrom, stands for it.
            made.setdefault(parts, point)
    # The last part of a full decomposition is the last one of Unicode's own, of two parts.
    return {(made.get(parts[:-1], parts[0]), parts[-1]): point for parts, point in made.items()}


def read_combining_classes():
    """Reads the order of combining marks.

    Returns:
        uint8 (0x110000,). The rank of a code point's canonical combining class; 0 for the code
        points that others never move across.
    """
    return _read_file()["order"]


def _pack(plain, changed, moving):
    entries, expansions, splits, deleted = plain.copy(), [], [0], []
    for point in sorted(changed):
        parts = changed[point]
        if len(parts) == 1:
            entries[point] = parts[0]
            continue
        if not parts:
            deleted.append(point)
            continue
        entries[point] = IRREGULAR + len(splits) - 1
        expansions.extend(parts)
        splits.append(len(expansions))
    # A table of the rows of all code points for private use would be the largest of a tokenizer.
    # Their numbers rise with the code points, so that blocks of them are alike.
    entries[deleted] = IRREGULAR + len(splits) - 1 + np.arange(len(deleted))
    entries = np.where(moving, entries + MOVES, entries)
    return CharacterTables(*(np.array(part, np.int32) for part in (entries, expansions, splits)))


@functools.cache
def _read_file():
    path = pathlib.Path(__file__).with_name("bert_characters.npz")
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    tables = {}
    for name in ("class", "chinese", "mark", "order", "any_mark", "word"):
        runs = np.diff(arrays[f"{name}_starts"], append=_SIZE)
        tables[name] = np.repeat(arrays[f"{name}_values"], runs)
    for name in ("lower", "decomposition"):
        texts = np.split(arrays[f"{name}_texts"], np.flatnonzero(arrays[f"{name}_texts"] == 0) + 1)
        points = arrays[f"{name}_points"].tolist()
        pairs = zip(points, texts[:-1], strict=True)
        tables[name] = {point: tuple(text[:-1].tolist()) for point, text in pairs}
    return tables
