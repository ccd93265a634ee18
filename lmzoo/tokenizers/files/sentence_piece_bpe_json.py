"""A BPE SentencePiece model with pieces of bytes as `tokenizer.json`, both ways: Llama 2's form."""

from lmzoo.json_files import read_json
from lmzoo.tokenizers.files.common import FileCheck
from lmzoo.tokenizers.sentence_piece.model import PieceType, SentencePieceModel

__all__ = ["can_be_pairs", "make_pair_form", "read_pair_form"]

_SPACE = "\u2581"
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
# A space before each text, which is what the library does.
_SPACES = [
    {"type": "Prepend", "prepend": _SPACE},
    {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
]
_DECODER = [
    {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]
# No space before a text that has one, and, with "first", none behind a special token. Read as what
# they were made from: a model of the library, which puts one there always.
_SCHEMES = ("always", "first")
_PLAIN_MODEL = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None),
    "byte_fallback": (True,),
}


def can_be_pairs(vocabulary):
    """Says whether a tokenizer is one of Llama 2's form.

    Args:
        vocabulary: SentencePieceVocabulary.
    Returns:
        bool.
    """
    model = vocabulary.model
    kinds = {
        piece_type
        for piece_type, token in zip(model.types, vocabulary.tokens, strict=False)
        if token not in vocabulary.special_tokens
    }
    plain = model.model_type == "bpe" and model.byte_fallback and not vocabulary.sentinel_ids
    plain = plain and kinds == {PieceType.NORMAL, PieceType.BYTE} and not model.rules
    return bool(plain and model.add_dummy_prefix and not model.remove_extra_whitespaces)


def make_pair_form(vocabulary, added, finish):
    """Describes a tokenizer as transformers describes Llama 2's.

    Args:
        vocabulary: SentencePieceVocabulary, for which `can_be_pairs` is True.
        added: list of dict. The special tokens, described.
        finish: dict or None. The post-processor.
    Returns:
        dict.
    """
    model, special = vocabulary.model, set(vocabulary.special_tokens)
    pairs = list(zip(model.pieces, model.scores, strict=True))
    scores = {piece: score for piece, score in pairs if piece not in special}
    ranked = sorted(_find_pairs(scores), key=lambda pair: -scores[pair[0] + pair[1]])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": _SPACES},
        "pre_tokenizer": None,
        "post_processor": finish,
        "decoder": {"type": "Sequence", "decoders": _DECODER},
        "model": {
            "type": "BPE",
            **{option: plain[0] for option, plain in _PLAIN_MODEL.items()},
            "unk_token": model.pieces[model.types.index(PieceType.UNKNOWN)],
            "fuse_unk": True,
            "vocab": dict(vocabulary.ids),
            "merges": [list(pair) for pair in ranked],
        },
    }


def _find_pairs(pieces):
    """All pairs of pieces that make a piece; the longer left one first."""
    for piece in pieces:
        for cut in range(len(piece) - 1, 0, -1):
            if piece[:cut] in pieces and piece[cut:] in pieces:
                yield piece[:cut], piece[cut:]


def read_pair_form(path, kind):
    """Makes a model of a `tokenizer.json`.

    A text that begins with a space has one more of them than transformers 5 would give it, as the
    sentencepiece library has it, too. A model merges any two pieces that make a piece, and ranks
    what they make; `tokenizer.json` ranks pairs. Only one in which these are the same can be read.

    Args:
        path: pathlib.Path.
        kind: str. The tokenizer that is expected.
    Returns:
        dict with the model file as `model`, and `num_sentinels`.
    Raises:
        ValueError: if the file is broken or describes another kind of tokenizer.
    """
    content, check = read_json(path), FileCheck(path, kind)
    model = content.get("model")
    check.expect_section("model", model)
    for option, plain in _PLAIN_MODEL.items():
        check.expect(f"model.{option}", model.get(option), plain)
    _check_spaces(check, content)
    check.expect_section("model.vocab", model.get("vocab"))
    ids = dict(model["vocab"])
    added = content.get("added_tokens") or []
    added = check.read_added(added, ids, ("single_word", "lstrip", "rstrip"))
    special = {token["content"] for token in added}
    if sorted(map(str, ids.values())) != sorted(map(str, range(len(ids)))):
        check.refuse("model.vocab", len(ids), "the ids from 0 to its size - 1 as tokens")
    pieces = sorted(ids, key=ids.get)
    unknown = model.get("unk_token") or "<unk>"
    if not isinstance(unknown, str) or unknown not in special:
        check.refuse("model.unk_token", unknown, "a special token")
    scores = _read_scores(check, model.get("merges"), set(pieces) - special)
    types = [PieceType.CONTROL if piece in special else PieceType.NORMAL for piece in pieces]
    types[ids[unknown]] = PieceType.UNKNOWN
    for piece in _BYTES:
        if piece not in ids or piece in special:
            check.refuse("model.vocab", piece, "each of the 256 bytes as a token")
        types[ids[piece]] = PieceType.BYTE
    try:
        made = SentencePieceModel(
            tuple(pieces),
            tuple(scores.get(piece, 0.0) for piece in pieces),
            tuple(types),
            model_type="bpe",
            byte_fallback=True,
            remove_extra_whitespaces=False,
        )
    except ValueError as error:
        raise ValueError(
            f"{path.name} must describe a SentencePiece model. Received: {str(path)!r}, and "
            f"{error}."
        ) from error
    return {"model": made.serialize(), "num_sentinels": 0}


def _check_spaces(check, content):
    normalizer, splitter = content.get("normalizer"), content.get("pre_tokenizer")
    if normalizer is not None:
        check.expect_section("normalizer", normalizer)
        parts = normalizer.get("normalizers")
        check.expect("normalizer.normalizers", parts, (_SPACES,))
        check.expect("pre_tokenizer", splitter, (None,))
        return
    check.expect_section("pre_tokenizer", splitter)
    check.expect("pre_tokenizer.type", splitter.get("type"), ("Metaspace",))
    check.expect("pre_tokenizer.replacement", splitter.get("replacement"), (_SPACE,))
    check.expect("pre_tokenizer.prepend_scheme", splitter.get("prepend_scheme"), _SCHEMES)
    check.expect("pre_tokenizer.split", splitter.get("split"), (False,))


def _read_scores(check, merges, pieces):
    """The score of each piece that pairs make: the earlier, the higher."""
    if not isinstance(merges, list):
        check.refuse("model.merges", merges, "a list")
    scores, found, last = {}, set(), None
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        pair = tuple(pair) if isinstance(pair, list) else ()
        if len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            check.refuse("model.merges", merge, "pairs of tokens")
        made = pair[0] + pair[1]
        if not {*pair, made} <= pieces:
            # Of special tokens, which text does not make.
            continue
        if made != last and made in scores:
            check.refuse("model.merges", merge, "all pairs that make a token in one place")
        scores.setdefault(made, -float(len(scores)))
        found.add(pair)
        last = made
    for pair in _find_pairs(pieces):
        if pair not in found:
            check.refuse("model.merges", f"no {list(pair)}", "all pairs that make a token")
    return scores
