"""Makes `lmzoo/tokenizers/unicode/code_point_classes.npz` by asking the `tokenizers` library.

Run it by hand after an upgrade of that library: `python tests/golden/make_code_point_classes.py`.
It asks how GPT-2's pattern splits every code point between letters, digits and marks, so that the
table holds the Unicode version the library was built with, not Python's.
"""

import pathlib

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

import lmzoo.tokenizers

OTHER, LETTER, NUMBER, SPACE = range(4)


def classify(character, splitter):
    """One of the four classes of GPT-2's pattern for a character."""
    for code, neighbour in ((LETTER, "a"), (NUMBER, "1"), (OTHER, "!")):
        if len(splitter.pre_tokenize_str(neighbour + character + neighbour)) == 1:
            return code
    return SPACE


def main():
    splitter = ByteLevel(add_prefix_space=False, use_regex=True)
    surrogates = range(0xD800, 0xE000)
    classes = np.array(
        [
            OTHER if code_point in surrogates else classify(chr(code_point), splitter)
            for code_point in range(0x110000)
        ],
        np.uint8,
    )
    starts = np.flatnonzero(np.diff(classes.astype(int), prepend=-1))
    folder = pathlib.Path(lmzoo.tokenizers.__file__).parent
    np.savez_compressed(
        folder / "code_point_classes.npz", starts=starts.astype(np.int32), classes=classes[starts]
    )


if __name__ == "__main__":
    main()
