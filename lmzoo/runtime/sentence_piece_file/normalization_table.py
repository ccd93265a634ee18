"""The table by which SentencePiece normalizes text: checking one, and building a small one."""

import numpy as np

__all__ = ["WHITE_SPACE_RULES", "build_rules", "check_rules"]

_MAX_BYTES = 8 << 20
# NFKC needs 33 for the longest; much more would blow up text.
_MAX_REPLACEMENT_BYTES = 256
_IS_VALUE, _HAS_LEAF = 1 << 31, 1 << 8


def check_rules(rules):
    """Refuses a table that would lead out of itself, whatever the text.

    It holds a tree of the characters to replace, folded into one array: from a place, the unit
    there leads to a base, and the next byte of the text to a place within 256 of it. A unit with a
    leaf has at its base where the replacement begins, among texts that each end with a NUL. The op
    goes there without asking whether it is still in the table.

    Args:
        rules: bytes. `precompiled_charsmap`; empty if text stays as it is.
    Raises:
        ValueError: if the table is too large, cut off, or leads out of itself.
    Reference: Aoe 1989, https://doi.org/10.1109/32.31365, for such arrays.
    """
    if not rules:
        return
    if len(rules) > _MAX_BYTES:
        raise ValueError(f"its normalizer has more than {_MAX_BYTES} bytes: {len(rules)}")
    size = int.from_bytes(rules[:4], "little")
    # Blocks of 256 units of four bytes.
    if len(rules) < 4 or not size or size % 1024 or size > len(rules) - 4:
        raise ValueError(
            f"its normalizer is broken: an array of {size} bytes among {len(rules)} in all"
        )
    units = np.frombuffer(rules, "<u4", size // 4, 4).astype(np.int64)
    _check_array(units, _check_texts(rules[4 + size :]))


def _check_texts(texts):
    """Where a replacement may begin: bool (bytes,)."""
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"its normalizer is broken: byte {error.start} of its texts is not UTF-8"
        ) from error
    if not texts.endswith(b"\0"):
        raise ValueError(f"its normalizer is broken: its texts end with {texts[-8:]!r}, not a NUL")
    longest = max(map(len, texts.split(b"\0")))
    if longest > _MAX_REPLACEMENT_BYTES:
        raise ValueError(
            f"its normalizer has a replacement of {longest} bytes, not at most "
            f"{_MAX_REPLACEMENT_BYTES}"
        )
    return np.frombuffer(texts, np.uint8) & 0xC0 != 0x80


def _check_array(units, begins):
    # Units of values match no byte, so nothing goes on from them.
    places = np.flatnonzero(units & _IS_VALUE == 0)
    nodes = units[places]
    bases = places ^ (nodes >> 10 << ((nodes & 1 << 9) >> 6))
    outside = bases | 255 >= len(units)
    if outside.any():
        raise ValueError(
            f"its normalizer is broken: unit {places[outside][0]} leads out of {len(units)} units"
        )
    values = units[bases[nodes & _HAS_LEAF != 0]] & (_IS_VALUE - 1)
    outside = values >= len(begins)
    if outside.any() or not begins[values].all():
        wrong = values[outside] if outside.any() else values[~begins[values]]
        raise ValueError(
            f"its normalizer is broken: a replacement begins at byte {wrong[0]} of {len(begins)}"
        )


def build_rules(replacements):
    """Builds a table that replaces characters.

    Args:
        replacements: dict of str to str, neither of them empty, none with a NUL.
    Returns:
        bytes. A `precompiled_charsmap`.
    """
    # The tree of keys: a node is a prefix of a key, with the bytes that go on from it.
    texts, leaves, nodes = b"", {}, {b"": set()}
    for key, replacement in replacements.items():
        data = key.encode()
        leaves[data] = len(texts)
        texts += replacement.encode() + b"\0"
        for size in range(len(data)):
            nodes.setdefault(data[:size], set()).add(data[size])
    units, bases, places, waiting = {0: 0}, set(), {b"": 0}, [b""]
    while waiting:
        prefix = waiting.pop(0)
        labels = sorted(nodes.get(prefix, ()))
        taken = [0, *labels] if prefix in leaves else labels
        base = 1
        while base in bases or any(base ^ label in units for label in taken):
            base += 1
        bases.add(base)
        # The offset to the base, above the byte that leads here.
        units[places[prefix]] |= (places[prefix] ^ base) << 10
        if prefix in leaves:
            units[places[prefix]] |= _HAS_LEAF
            units[base] = _IS_VALUE | leaves[prefix]
        for label in labels:
            places[prefix + bytes([label])] = base ^ label
            units[base ^ label] = label
            waiting.append(prefix + bytes([label]))
    size = (max([*units, *bases]) | 255) + 1
    # A unit that is not used must not seem to be reached by a byte from any base.
    unused = min(set(range(256)) - {base & 255 for base in bases})
    table = np.array([units.get(place, (place ^ unused) & 255) for place in range(size)], "<u4")
    return (4 * size).to_bytes(4, "little") + table.tobytes() + texts


# What Unicode calls white space, each character of it as a space.
WHITE_SPACE_RULES = build_rules(
    dict.fromkeys(
        map(
            chr,
            [
                *range(0x9, 0xE),
                *(0x85, 0xA0, 0x1680),
                *range(0x2000, 0x200B),
                *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
            ],
        ),
        " ",
    )
)
