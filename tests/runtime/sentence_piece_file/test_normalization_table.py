import struct

import numpy as np
import pytest

from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.runtime.sentence_piece_file.normalization_table import check_rules
from lmzoo.tokenizers import SentencePieceTokenizer

# The unit of "a": its label, a leaf, and 256 as its base, where the value is.
LETTER = (256 ^ ord("a")) << 10 | 1 << 8 | ord("a")
VALUE = 1 << 31


def make_rules(units=(), texts=b"b\0", size=512):
    """A table that turns "a" into "b", with the given units changed."""
    array = np.full(size, VALUE, np.uint32)
    for place, unit in {0: 0, ord("a"): LETTER, **dict(units)}.items():
        array[place] = unit
    return struct.pack("<I", array.nbytes) + array.tobytes() + texts


def make_model(rules):
    types = (PieceType.UNKNOWN, *[PieceType.NORMAL] * 3)
    pieces = ("<unk>", "\u2581", "b", "c")
    return SentencePieceModel(pieces, (0.0, -1.0, -1.0, -1.0), types, rules=rules)


def test_a_sound_table_passes_and_does_what_it_says():
    check_rules(b"")
    roles = {"end_token": None, "pad_token": None}
    tokenizer = SentencePieceTokenizer(make_model(make_rules()).serialize(), 0, **roles)
    assert tokenizer.tokenize("cacd").numpy().tolist() == [1, 3, 2, 3, 0]
    # The wide form of an offset: bit 9 says that it counts blocks of 256.
    check_rules(make_rules({300: (1 << 10) | 1 << 9}))


def test_the_published_tables_pass(train_model):
    for name in ("nmt_nfkc", "nfkc_cf"):
        data = train_model("bpe", normalization_rule_name=name, vocab_size=400)
        assert len(SentencePieceModel.parse(data).rules) > 200_000


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (b"abc", "an array of 6513249 bytes among 3 in all"),
        (make_rules()[:1000], "an array of 2048 bytes among 1000 in all"),
        (struct.pack("<I", 1000) + bytes(2000), "an array of 1000 bytes among 2004"),
        (struct.pack("<I", 0) + b"b\0", "an array of 0 bytes among 6"),
        (bytes((8 << 20) + 1), "more than 8388608 bytes: 8388609"),
        (make_rules({7: 512 << 10}), "unit 7 leads out of 512 units"),
        (make_rules({300: 1 << 21 | 1 << 9}), "unit 300 leads out of 512 units"),
        (make_rules({256: VALUE | 2}), "a replacement begins at byte 2 of 2"),
        (make_rules({256: VALUE | 1}, "é\0".encode()), "a replacement begins at byte 1 of 3"),
        (make_rules(texts=b""), "its texts end with b'', not a NUL"),
        (make_rules(texts=b"bc"), "its texts end with b'bc', not a NUL"),
        (make_rules(texts=b"\xff\0"), "byte 0 of its texts is not UTF-8"),
        (make_rules(texts=b"b" * 257 + b"\0"), "a replacement of 257 bytes, not at most 256"),
    ],
)
def test_a_table_that_leads_out_of_itself_is_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        make_model(rules)


def test_whatever_happens_to_a_table_no_walk_leaves_it():
    """Walks as the op walks, from every place that any bytes reach."""
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(make_rules({300: 0, 40: 99 << 10}, "bé\0x\0".encode()))
        for place in generator.integers(4, len(changed), 4):
            changed[place] = generator.integers(256)
        try:
            check_rules(bytes(changed))
        except ValueError:
            refused += 1
            continue
        units = np.frombuffer(changed, "<u4", 512, 4).tolist()
        texts = bytes(changed[4 + 2048 :])
        seen, waiting = set(), [0]
        while waiting:
            place = waiting.pop()
            seen.add(place)
            unit = units[place]
            base = place ^ (unit >> 10 << ((unit & 1 << 9) >> 6))
            if unit >> 8 & 1:
                assert (units[base] & (VALUE - 1)) < len(texts)
            for byte in range(256):
                # Reading is what may go wrong; only a unit with this label is gone to.
                if units[base ^ byte] & (VALUE | 255) == byte and base ^ byte not in seen:
                    waiting.append(base ^ byte)
    assert 50 < refused < 290
