import sys

import pytest

from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.tokenizers.sentence_piece.training import train_sentence_pieces


def test_roles_and_options_are_as_asked(library_text):
    text = library_text[:30_000]
    for model_type, byte_fallback in (("unigram", False), ("bpe", True)):
        data = train_sentence_pieces(iter([text]), 400, model_type, byte_fallback)
        model = SentencePieceModel.parse(data)
        assert model.pieces[:3] == ("<pad>", "</s>", "<unk>") and len(model.pieces) == 400
        assert model.types[:3] == (PieceType.CONTROL, PieceType.CONTROL, PieceType.UNKNOWN)
        assert (model.model_type, model.byte_fallback) == (model_type, byte_fallback)
        assert model.add_dummy_prefix and model.remove_extra_whitespaces and model.rules


def test_files_and_an_iterator_give_the_same_and_long_lines_count(tmp_path):
    parts = ["a cat in a hat " * 1000, "more words here\n\nand there\n"]
    for name, part in zip("ab", parts, strict=True):
        (tmp_path / name).write_text(part, encoding="utf-8", newline="")
    learned = train_sentence_pieces([tmp_path / "a", tmp_path / "b"], 40, "bpe")
    assert learned == train_sentence_pieces(iter(parts), 40, "bpe")
    assert "\u2581cat" in SentencePieceModel.parse(learned).pieces


def test_a_short_text_gives_fewer_pieces():
    for model_type in ("unigram", "bpe"):
        model = SentencePieceModel.parse(train_sentence_pieces(iter(["ab ab"]), 999, model_type))
        assert 4 < len(model.pieces) < 20


def test_what_the_library_cannot_do_is_said_in_our_words():
    with pytest.raises(ValueError, match="`vocabulary_size` must fit the text. Received: 9 pieces"):
        train_sentence_pieces(iter(["".join(map(chr, range(97, 123)))] * 9), 9, "bpe")
    with pytest.raises(ValueError, match="`model_type` must be 'unigram' or 'bpe'. .*: 'word'"):
        train_sentence_pieces(iter(["a"]), 40, "word")
    with pytest.raises(TypeError, match="`files_or_iterator` must give str. Received: 5"):
        train_sentence_pieces(iter(["a", 5]), 40)
    with pytest.raises(ValueError, match="must give text. Received: white space alone"):
        train_sentence_pieces(iter(["", " ", "\n\t", "\u3000"]), 40)
    with pytest.raises(ValueError, match="must give text. Received: an iterator of none"):
        train_sentence_pieces(iter([]), 40)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ImportError, match=r"environment without .*\[train-tokenizer\]"):
        train_sentence_pieces(iter(["a"]), 40)
