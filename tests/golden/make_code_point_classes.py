"""Makes `lmzoo/tokenizers/unicode/code_point_classes.npz` by asking the `tokenizers` library.

Run it by hand after an upgrade of that library: `python tests/golden/make_code_point_classes.py`.
It asks how GPT-2's pattern splits every code point between letters, digits and marks, which cases
letters and marks have, and which code points are digits to the pre-tokenizer `Digits`. So the
tables hold the Unicode versions the library was built with (there are two), not Python's.
"""

import pathlib

import numpy as np
from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split

import lmzoo.tokenizers

OTHER, LETTER, NUMBER, SPACE = range(4)
NO_CASE, UPPER, LOWER, ANY_CASE = range(4)
CASES = {UPPER: r"[\p{Lu}\p{Lt}]", LOWER: r"\p{Ll}", ANY_CASE: r"[\p{Lm}\p{Lo}\p{M}]"}
SIZE, SURROGATES = 0x110000, range(0xD800, 0xE000)


def classify(character, splitter):
    """One of the four classes of GPT-2's pattern for a character."""
    for code, neighbour in ((LETTER, "a"), (NUMBER, "1"), (OTHER, "!")):
        if len(splitter.pre_tokenize_str(neighbour + character + neighbour)) == 1:
            return code
    return SPACE


def make_classes():
    splitter = ByteLevel(add_prefix_space=False, use_regex=True)
    return np.array(
        [
            OTHER if code_point in SURROGATES else classify(chr(code_point), splitter)
            for code_point in range(SIZE)
        ],
        np.uint8,
    )


def make_cases():
    cases = np.zeros(SIZE, np.uint8)
    points = [point for point in range(SIZE) if point not in SURROGATES]
    text = "".join(map(chr, points))
    for case, regex in CASES.items():
        splitter = Split(Regex(regex), "removed", invert=True)
        for _, (first, end) in splitter.pre_tokenize_str(text):
            cases[points[first:end]] = case
    return cases


def make_digits():
    digits = np.zeros(SIZE, np.uint8)
    points = [point for point in range(SIZE) if point not in SURROGATES]
    text = "".join(f"a{chr(point)}a" for point in points)
    for _, (first, _) in Digits(individual_digits=True).pre_tokenize_str(text):
        if first % 3 == 1:
            digits[points[first // 3]] = 1
    return digits


def make_arrays():
    """The arrays of the file: where runs of one value begin, and their values."""
    arrays = {}
    tables = {"classes": make_classes(), "cases": make_cases(), "digits": make_digits()}
    for name, values in tables.items():
        starts = np.flatnonzero(np.diff(values.astype(int), prepend=-1))
        arrays[f"{name}_starts"] = starts.astype(np.int32)
        arrays[f"{name}_values"] = values[starts]
    return arrays


if __name__ == "__main__":
    folder = pathlib.Path(lmzoo.tokenizers.__file__).parent / "unicode"
    np.savez_compressed(folder / "code_point_classes.npz", **make_arrays())
