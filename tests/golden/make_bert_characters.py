"""Makes `lmzoo/tokenizers/unicode/bert_characters.npz` by asking the `tokenizers` library.

Run it by hand after an upgrade of that library: `python tests/golden/make_bert_characters.py`.
It asks what BERT's normalizer makes of every code point, and how BERT's pre-tokenization and
`Whitespace` treat it, so that the tables hold the Unicode versions the library was built with
(there are three), not Python's.
"""

import bisect
import pathlib
import unicodedata

import numpy as np
from tokenizers.normalizers import NFD, BertNormalizer, StripAccents
from tokenizers.pre_tokenizers import BertPreTokenizer, Whitespace

LETTER, ISOLATED, SPACE, DELETED = range(4)
POINTS = [*range(0xD800), *range(0xE000, 0x110000)]


def make_normalizer(**options):
    plain = {"lowercase": False, "strip_accents": False}
    plain |= {"clean_text": False, "handle_chinese_chars": False}
    return BertNormalizer(**plain | options)


def classify(character, cleaner, splitter):
    """How the cleaning and the splitting of words treat a character."""
    cleaned = cleaner.normalize_str(character)
    if cleaned in ("", " "):
        return SPACE if cleaned else DELETED
    if cleaned != character:
        raise ValueError(f"Cleaning must not change {character!r} to {cleaned!r}.")
    return LETTER if len(splitter.pre_tokenize_str(f"a{character}b")) == 1 else ISOLATED


def classify_whitespace(character, splitter):
    """How `Whitespace` treats a character: a part of a word, of other marks, or none."""
    pieces = splitter.pre_tokenize_str(f"a{character}a")
    if len(pieces) == 1:
        return LETTER
    return SPACE if len(pieces) == 2 else ISOLATED


def find_orders(decomposed):
    """The rank of each code point's combining class, 0 for those that never move."""
    normalizer = NFD()

    def swaps(left, right):
        swapped = "a" + right + left
        return left != right and normalizer.normalize_str("a" + left + right) == swapped

    # Python's classes say which to compare with; the library may not know the newest of them.
    lowest, highest = "\u0334", "\u0345"
    known = {1: lowest, 240: highest}
    for point in POINTS:
        if swaps(chr(point), lowest) and swaps(highest, chr(point)):
            known.setdefault(unicodedata.combining(chr(point)), chr(point))
    known = [character for combining, character in sorted(known.items()) if combining]
    orders = np.zeros(0x110000, np.uint8)
    for point in POINTS:
        character = chr(point)
        moves = swaps(character, lowest) or swaps(highest, character)
        if moves and decomposed[point] == character:
            # It lets every lower class pass, so the first one that it does not is its own.
            orders[point] = 1 + bisect.bisect_left(
                known, True, key=lambda other, left=character: not swaps(left, other)
            )
    return orders


def pack_changes(changed):
    """Two arrays: the code points that change, and what all become, cut at zeros."""
    points = [point for point, (before, after) in enumerate(changed) if before != after]
    text = "".join(changed[point][1] + "\0" for point in points)
    return np.array(points, np.int32), np.array([ord(character) for character in text], np.int32)


def pack_ranges(values):
    """Two arrays: where each run of equal values starts, and its value."""
    starts = np.flatnonzero(np.diff(values.astype(int), prepend=-1))
    return starts.astype(np.int32), values[starts]


def make_arrays():
    """All tables, by their names in the file."""
    splitter, cleaner = BertPreTokenizer(), make_normalizer(clean_text=True)
    chinese = make_normalizer(handle_chinese_chars=True)
    lower, strip = make_normalizer(lowercase=True), make_normalizer(strip_accents=True)
    characters = ["\0" if 0xD800 <= p < 0xE000 else chr(p) for p in range(0x110000)]
    decomposed = [NFD().normalize_str(character) for character in characters]
    marks = [strip.normalize_str(c) == "" and c != "\0" for c in characters]
    tables = {
        "class": [classify(c, cleaner, splitter) for c in characters],
        "chinese": [chinese.normalize_str(c) == f" {c} " for c in characters],
        "mark": marks,
        "order": find_orders(decomposed),
        # What `StripAccents` deletes, spacing and enclosing marks among it.
        "any_mark": [StripAccents().normalize_str(c) == "" and c != "\0" for c in characters],
        "word": [classify_whitespace(c, Whitespace()) for c in characters],
    }
    arrays = {}
    for name, values in tables.items():
        arrays[f"{name}_starts"], arrays[f"{name}_values"] = pack_ranges(np.array(values, np.uint8))
    lowered = [lower.normalize_str(character) for character in characters]
    for name, after in (("lower", lowered), ("decomposition", decomposed)):
        changed = list(zip(characters, after, strict=True))
        arrays[f"{name}_points"], arrays[f"{name}_texts"] = pack_changes(changed)
    return arrays


def main():
    # The checkout this script stands in, whichever lmzoo is installed.
    folder = pathlib.Path(__file__).parents[2] / "lmzoo" / "tokenizers" / "unicode"
    np.savez_compressed(folder / "bert_characters.npz", **make_arrays())


if __name__ == "__main__":
    main()
