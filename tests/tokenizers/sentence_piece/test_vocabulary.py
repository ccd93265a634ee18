import dataclasses

import pytest

from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.tokenizers.sentence_piece.vocabulary import SentencePieceVocabulary

SMALL = SentencePieceModel(
    pieces=("<pad>", "</s>", "<unk>", "\u2581a", "b", "c"),
    scores=(0.0, 0.0, 0.0, -1.0, -2.0, -3.0),
    types=tuple(map(PieceType, (3, 3, 2, 1, 1, 1))),
)


def add_pieces(pieces, piece_type=PieceType.USER_DEFINED):
    return dataclasses.replace(
        SMALL,
        pieces=(*SMALL.pieces, *pieces),
        scores=(*SMALL.scores, *[0.0] * len(pieces)),
        types=(*SMALL.types, *[piece_type] * len(pieces)),
    ).serialize()


def build(data=None, num_sentinels=2, special_tokens=()):
    return SentencePieceVocabulary.build(data or SMALL.serialize(), num_sentinels, special_tokens)


def test_sentinels_stand_behind_the_pieces_in_falling_order():
    vocabulary = build(num_sentinels=3)
    assert vocabulary.tokens[6:] == ("<extra_id_2>", "<extra_id_1>", "<extra_id_0>")
    assert vocabulary.sentinel_ids == (8, 7, 6) and not vocabulary.has_sentinels
    assert set(vocabulary.special_tokens) == {*SMALL.pieces[:3], *vocabulary.tokens[6:]}
    assert [vocabulary.ids[token] for token in vocabulary.tokens] == list(range(9))
    assert vocabulary.own_special_ids() == [0, 1, 2]
    assert build(num_sentinels=0).sentinel_ids == ()


@pytest.mark.parametrize("space", ["", "\u2581"])
@pytest.mark.parametrize("piece_type", [PieceType.NORMAL, PieceType.USER_DEFINED])
@pytest.mark.parametrize("num_sentinels", [0, 2])
def test_a_model_may_have_its_own_sentinels(space, piece_type, num_sentinels):
    pieces = [f"{space}<extra_id_1>", f"{space}<extra_id_0>"]
    vocabulary = build(add_pieces(pieces, piece_type), num_sentinels)
    assert vocabulary.has_sentinels and vocabulary.sentinel_ids == (7, 6)
    assert vocabulary.tokens[6:] == ("<extra_id_1>", "<extra_id_0>")
    assert vocabulary.own_special_ids() == [0, 1, 2, 7, 6]


def test_any_piece_may_be_special():
    assert build(special_tokens=["c"], num_sentinels=0).special_tokens == (*SMALL.pieces[:3], "c")


@pytest.mark.parametrize(
    ("pieces", "arguments", "message"),
    [
        ([], {"num_sentinels": -1}, "`num_sentinels` must be an int from 0 on. Received: -1"),
        ([], {"num_sentinels": 2.0}, "`num_sentinels` must be an int from 0 on. Received: 2.0"),
        ([], {"num_sentinels": True}, "`num_sentinels` must be an int .* Received: True"),
        ([], {"num_sentinels": 10_001}, "must be at most 10000. Received: 10001"),
        (["<extra_id_0>"], {"num_sentinels": 2}, "must be 1 or 0, as the .* own. Received: 2"),
        (["<extra_id_1>"], {"num_sentinels": 1}, r"sentinels from 0 on, each once. .*: \[1\]"),
        (["<extra_id_0>", "\u2581<extra_id_0>"], {}, r"each once. Received: \[0, 0\]"),
        ([], {"special_tokens": ["d"]}, "`special_tokens` must be in .* Received: 'd'"),
        ([], {"special_tokens": ["\u2581a", "b", "c"]}, "must leave a normal piece. .*'b', 'c'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(pieces, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(add_pieces(pieces), **arguments)


def test_a_path_is_no_model():
    with pytest.raises(TypeError, match="`model` must be bytes, .* Received: 'spiece.model'"):
        build("spiece.model")
