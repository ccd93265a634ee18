import dataclasses
import itertools
import json
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import sentencepiece

from lmzoo.runtime.sentence_piece_file import model as sentence_piece_model
from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.runtime.sentence_piece_file.protobuf_wire import write_bytes, write_float, write_varint
from lmzoo.tokenizers import SentencePieceTokenizer
from tests.speed import scale_limit

SMALL = SentencePieceModel(
    pieces=("<pad>", "</s>", "<unk>", "\u2581a", "b", "c"),
    scores=(0.0, 0.0, 0.0, -1.0, -2.0, -3.0),
    types=tuple(map(PieceType, (3, 3, 2, 1, 1, 1))),
)
TRAINER, NORMALIZER = write_bytes(2, write_varint(3, 1)), write_bytes(3, write_varint(3, 1))

ENDS = TRAINER + NORMALIZER


def make_piece(text=b"a", score=-1.0, piece_type=1):
    fields = write_bytes(1, text), write_float(2, score), write_varint(3, piece_type)
    return write_bytes(1, b"".join(fields))


@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}], ids=["plain", "bytes"])
@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_file_is_read_as_the_library_reads_it(train_model, model_type, options):
    data = train_model(model_type, user_defined_symbols=["<sep>"], **options)
    reference = sentencepiece.SentencePieceProcessor(model_proto=data)
    model = SentencePieceModel.parse(data)
    places = range(reference.vocab_size())
    assert list(model.pieces) == [reference.id_to_piece(index) for index in places]
    assert list(model.scores) == [reference.get_score(index) for index in places]
    for index, piece_type in enumerate(model.types):
        assert reference.is_control(index) == (piece_type is PieceType.CONTROL)
        assert reference.is_unknown(index) == (piece_type is PieceType.UNKNOWN)
        assert reference.is_byte(index) == (piece_type is PieceType.BYTE)
    assert PieceType.USER_DEFINED in model.types
    assert (model.model_type, model.byte_fallback) == (model_type, bool(options))


def test_what_is_written_anew_says_the_same(unigram_model, nasty_texts):
    model = SentencePieceModel.parse(unigram_model)
    data = model.serialize()
    assert SentencePieceModel.parse(data) == model
    one, other = (
        sentencepiece.SentencePieceProcessor(model_proto=proto) for proto in (unigram_model, data)
    )
    assert one.encode(nasty_texts) == other.encode(nasty_texts)
    for options in (
        {"model_type": "bpe", "add_dummy_prefix": False, "unknown_surface": "?"},
        {"remove_extra_whitespaces": False},
    ):
        changed = dataclasses.replace(SMALL, **options)
        assert SentencePieceModel.parse(changed.serialize()) == changed


def test_a_cut_file_is_refused_wherever_it_is_cut(unigram_model):
    data = SMALL.serialize()
    # Of the last part, all that may be cut off is what a default says as well.
    for size in range(len(data) - 4):
        with pytest.raises(ValueError, match=r"^it (is cut off|has 0 bytes|is another)"):
            SentencePieceModel.parse(data[:size])
    for size in np.random.default_rng(0).integers(len(unigram_model) - 10, size=20):
        start = time.perf_counter()
        with pytest.raises(ValueError, match="cut off"):
            SentencePieceModel.parse(unigram_model[:size])
        assert time.perf_counter() - start < scale_limit(0.1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes, not 1 to 67108864"),
        (bytes((64 << 20) + 1), "67108865 bytes, not 1 to 67108864"),
        (bytes(1 << 20), "no protocol buffer: byte 0 begins no field"),
        (pickle.dumps({"pieces": ["a"]}, protocol=4), "another protocol buffer: field 64 is not"),
        (pickle.dumps([1], protocol=0), "another .*: field 5 is not expected"),
        (b'{"model": 1}', "no protocol buffer: byte 0 begins no field"),
        (write_varint(1, 8) + write_bytes(2, b"x"), "another .*: field 1 is not expected"),
        (write_bytes(6, b"x"), "another .*: field 6 is not expected"),
        (make_piece() + TRAINER + TRAINER, "another .*: field 2 is not expected"),
        (write_bytes(1, write_varint(1, 5)), "another .*: its piece is of kind 0"),
        (write_bytes(1, write_bytes(2, b"x")), "another .*: its score is of kind 2"),
        (make_piece() + TRAINER, "no normalizer_spec"),
        (make_piece() + NORMALIZER, "no trainer_spec"),
        (make_piece(b""), "piece 0 is empty"),
        (write_bytes(1, b""), "piece 0 is empty"),
        (make_piece() + make_piece(b"x" * 1025) + ENDS, "piece 1 is not 1 to 1024 bytes"),
        (make_piece(b"a\0") + ENDS, r"piece 0 is not .* NUL: 'a\\x00'"),
        (make_piece(b"\xff"), r"piece 0 is not UTF-8: b'\\xff'"),
        (make_piece(score=float("nan")) + ENDS, "a score that is not .*: nan of 'a'"),
        (make_piece(score=float("-inf")) + ENDS, "a score that is not .*: -inf of 'a'"),
        (make_piece(score=1e30) + ENDS, "a score that is not .*: 1.* of 'a'"),
        (make_piece(piece_type=0), "piece 0 is of the unknown type 0"),
        (make_piece(piece_type=7), "piece 0 is of the unknown type 7"),
        (make_piece() * 2 + TRAINER + NORMALIZER, "pieces 0 and 1 are the same: 'a'"),
        (make_piece() + TRAINER + NORMALIZER, "it has 0 unknown pieces, not one"),
        (make_piece(piece_type=2) + TRAINER + NORMALIZER, "it has no normal piece"),
        (TRAINER + NORMALIZER, "it has 0 pieces, not 1 to 1000000"),
        (SMALL.serialize() + write_bytes(5, write_bytes(2, b"x")), "it has a denormalizer_spec"),
        (make_piece() + write_bytes(2, write_varint(3, 3)) + NORMALIZER, "model_type is 3, nei"),
        (
            make_piece() + write_bytes(2, write_varint(24, 1)) + NORMALIZER,
            "treat_whitespace_as_suffix is 1, which is not",
        ),
        (
            make_piece() + TRAINER + write_bytes(3, write_varint(5, 0)),
            "escape_whitespaces is 0, which is not",
        ),
        (
            make_piece() + write_bytes(2, write_bytes(44, b"\xff")) + NORMALIZER,
            r"unk_surface is not UTF-8: b'\\xff'",
        ),
    ],
)  # fmt: skip
def test_another_file_is_refused_at_once(data, message):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        SentencePieceModel.parse(data)
    assert time.perf_counter() - start < scale_limit(0.1)
    with pytest.raises(ValueError, match="`model` must be a whole SentencePiece model. Received: "):
        SentencePieceTokenizer(data)


def test_random_bytes_are_refused():
    generator = np.random.default_rng(0)
    for size in [1, 2, 3, 10, 100, 100_000] * 20:
        with pytest.raises(ValueError, match="^(it|piece) "):
            SentencePieceModel.parse(generator.bytes(size))


def test_fields_of_a_piece_may_stand_in_any_order():
    fields = [write_bytes(1, b"x" * 200), write_float(2, -4.0), write_varint(3, 4)]
    expected = (("<unk>", "a", "x" * 200), (0.0, -1.0, -4.0), (2, 1, 4))
    start = make_piece(b"<unk>", 0.0, 2) + make_piece()
    for order in itertools.permutations(fields):
        model = SentencePieceModel.parse(start + write_bytes(1, b"".join(order)) + ENDS)
        assert (model.pieces, model.scores, model.types) == expected
    bare = write_bytes(1, write_bytes(1, b"y"))
    model = SentencePieceModel.parse(start + bare + ENDS)
    assert (model.pieces[2], model.scores[2], model.types[2]) == ("y", 0.0, PieceType.NORMAL)


def test_too_many_pieces_are_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sentence_piece_model, "_MAX_PIECES", 5)
        with pytest.raises(ValueError, match="it has more than 5 pieces"):
            SentencePieceModel.parse(SMALL.serialize())
    with pytest.raises(ValueError, match="it has 1000001 pieces, not 1 to 1000000"):
        dataclasses.replace(SMALL, pieces=("a",) * 1_000_001)


@pytest.mark.parametrize(
    ("pieces", "fallback", "message"),
    [
        (["<0x41>"], True, "it has 1 pieces of bytes, with byte_fallback=True"),
        (["<0x41>"], False, "it has 1 pieces of bytes, with byte_fallback=False"),
        ([], True, "it has 0 pieces of bytes, with byte_fallback=True"),
        ([f"<0x{byte:02x}>" for byte in range(256)], True, "it has 256 pieces of bytes"),
    ],
)
def test_pieces_of_bytes_must_be_all_of_them(pieces, fallback, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(
            SMALL,
            pieces=(*SMALL.pieces, *pieces),
            scores=(*SMALL.scores, *[0.0] * len(pieces)),
            types=(*SMALL.types, *[PieceType.BYTE] * len(pieces)),
            byte_fallback=fallback,
        )


# A crash of the op would end this process, and not the tests.
_DAMAGE = """
import json, sys
import numpy as np
from lmzoo.tokenizers import SentencePieceTokenizer

data = open(sys.argv[1], "rb").read()
generator = np.random.default_rng(0)
refused, used = 0, 0
for round in range(int(sys.argv[2])):
    damaged = bytearray(data)
    place = generator.integers(len(data) if round % 2 else 4000)
    damaged[place] = generator.integers(256)
    try:
        tokenizer = SentencePieceTokenizer(bytes(damaged), end_token=None, pad_token=None)
    except ValueError:
        refused += 1
        continue
    ids = tokenizer.tokenize(["Gr\\u00f6\\u00dfe \\u00bd a\\u0301 \\ufb01 " * 3, "", "\\U0001f600"])
    tokenizer.detokenize(ids)
    used += 1
unwanted = {"tensorflow_text", "keras_hub", "sentencepiece"} & set(sys.modules)
print(json.dumps([refused, used, sorted(unwanted)]))
"""


def damage(model, folder, rounds):
    (folder / "spiece.model").write_bytes(model)
    done = subprocess.run(
        [sys.executable, "-c", _DAMAGE, str(folder / "spiece.model"), str(rounds)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def damaged(unigram_model, tmp_path_factory):
    return damage(unigram_model, tmp_path_factory.mktemp("damaged"), 16)


def test_a_damaged_file_is_refused_or_harmless(damaged):
    refused, used, _ = damaged
    assert refused + used == 16 and min(refused, used) > 2


def test_the_op_is_loaded_without_the_rest_of_its_package(damaged):
    assert damaged[2] == []


@pytest.mark.slow
def test_many_damaged_files_are_refused_or_harmless(unigram_model, tmp_path):
    refused, used, _ = damage(unigram_model, tmp_path, 400)
    assert refused + used == 400 and min(refused, used) > 50
