"""A BPE SentencePiece model with byte fallback as `tokenizer.json`, both ways: Llama 2's kind."""

from lmzoo.runtime.sentence_piece_file.model import PieceType, build_model
from lmzoo.tokenizers.files.common import FileCheck, read_vocabulary

__all__ = [
    "can_be_bpe_json",
    "make_bpe_json",
    "read_bpe_json",
    "read_prepend_scheme",
]

_SPACE = "\u2581"
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
# A space before each text, even before a space: the rule of the library.
_PREPEND = [{"type": "Prepend", "prepend": _SPACE}, _REPLACE]
_DECODER = [
    {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
]
_STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
# Each token is cut in two at each of its characters. 250,000 pieces have some 2 million.
_MAX_CHARACTERS = 1 << 22
_SCHEMES = ("always", "first", "never")
_PLAIN_MODEL = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None),
    "byte_fallback": (True,),
}


def can_be_bpe_json(vocabulary, prepend_scheme):
    """Says whether a tokenizer is of Llama 2's kind.

    Args:
        vocabulary: SentencePieceVocabulary.
        prepend_scheme: str or None. As for `SentencePieceTokenizer`.
    Returns:
        bool.
    """
    model = vocabulary.model
    kinds = vocabulary.ordinary_types
    plain = model.model_type == "bpe" and model.byte_fallback and not vocabulary.sentinel_ids
    plain = plain and kinds == {PieceType.NORMAL, PieceType.BYTE} and not model.rules
    puts_space = model.add_dummy_prefix or prepend_scheme is not None
    return bool(plain and puts_space and not model.remove_extra_whitespaces)


def make_bpe_json(vocabulary, added, post_processor, prepend_scheme):
    """Describes a tokenizer as transformers describes Llama 2's.

    Args:
        vocabulary: SentencePieceVocabulary, for which `can_be_bpe_json` is True.
        added: list of dict. The special tokens, described.
        post_processor: dict or None.
        prepend_scheme: str or None. As for `SentencePieceTokenizer`.
    Returns:
        dict.
    """
    model, special = vocabulary.model, set(vocabulary.special_tokens)
    pairs = list(zip(model.pieces, model.scores, strict=True))
    scores = {piece: score for piece, score in pairs if piece not in special}
    ranked = sorted(_find_pairs(scores), key=lambda pair: -scores[pair[0] + pair[1]])
    normalizer, pre_tokenizer = {"type": "Sequence", "normalizers": _PREPEND}, None
    if prepend_scheme is not None:
        metaspace = {"type": "Metaspace", "replacement": _SPACE}
        normalizer = None
        pre_tokenizer = {**metaspace, "prepend_scheme": prepend_scheme, "split": False}
    decoders = _DECODER if prepend_scheme == "never" else [*_DECODER, _STRIP]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            **{option: plain[0] for option, plain in _PLAIN_MODEL.items()},
            "unk_token": model.pieces[model.types.index(PieceType.UNKNOWN)],
            "fuse_unk": True,
            # Those behind are added tokens alone.
            "vocab": {piece: index for index, piece in enumerate(model.pieces)},
            "merges": [list(pair) for pair in ranked],
        },
    }


def _find_pairs(pieces):
    """All pairs of pieces that make a piece; the longer left one first."""
    for piece in pieces:
        for cut in range(len(piece) - 1, 0, -1):
            if piece[:cut] in pieces and piece[cut:] in pieces:
                yield piece[:cut], piece[cut:]


def read_bpe_json(path, content, kind):
    """Builds a model from a `tokenizer.json`.

    A SentencePiece model merges any two pieces that make a piece, by the score of what they make;
    `tokenizer.json` ranks pairs. Only a file in which these are the same can be read.

    Args:
        path: pathlib.Path.
        content: dict. What the file holds.
        kind: str. The tokenizer that is expected.
    Returns:
        bytes. A model file.
    Raises:
        ValueError: if the file is broken or describes another kind of tokenizer.
    """
    check, model = FileCheck(path, kind), content.get("model")
    check.expect_section("model", model)
    for option, plain in _PLAIN_MODEL.items():
        check.expect(f"model.{option}", model.get(option), plain)
    ids = read_vocabulary(check, model.get("vocab"))
    size = sum(map(len, ids))
    if size > _MAX_CHARACTERS:
        check.refuse("model.vocab", size, f"tokens of at most {_MAX_CHARACTERS} characters in all")
    added = content.get("added_tokens") or []
    # Those behind the vocabulary are no pieces.
    added = check.read_added(added, dict(ids), ("single_word",), takes_non_special=True)
    special = {token["content"] for token in added if token["special"]} & set(ids)
    if sorted(ids.values()) != list(range(len(ids))):
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
    return build_model(
        path,
        tuple(pieces),
        tuple(scores.get(piece, 0.0) for piece in pieces),
        tuple(types),
        model_type="bpe",
        byte_fallback=True,
        remove_extra_whitespaces=False,
    )


def read_prepend_scheme(path, content, kind):
    """Reads where a space is put before text, from the normalizer and the pre-tokenizer.

    Args:
        path: pathlib.Path.
        content: dict. What the file holds.
        kind: str. The tokenizer that is expected.
    Returns:
        str or None. As for `SentencePieceTokenizer`.
    Raises:
        ValueError: if the file describes another kind of tokenizer.
    """
    check = FileCheck(path, kind)
    normalizer, pre_tokenizer = content.get("normalizer"), content.get("pre_tokenizer")
    if normalizer is not None:
        check.expect_section("normalizer", normalizer)
        parts = [normalizer] if normalizer == _REPLACE else normalizer.get("normalizers")
        check.expect("normalizer.normalizers", parts, (_PREPEND, [_REPLACE]))
        check.expect("pre_tokenizer", pre_tokenizer, (None,))
        return None if parts == _PREPEND else "never"
    check.expect_section("pre_tokenizer", pre_tokenizer)
    check.expect("pre_tokenizer.type", pre_tokenizer.get("type"), ("Metaspace",))
    check.expect("pre_tokenizer.replacement", pre_tokenizer.get("replacement"), (_SPACE,))
    check.expect("pre_tokenizer.prepend_scheme", pre_tokenizer.get("prepend_scheme"), _SCHEMES)
    check.expect("pre_tokenizer.split", pre_tokenizer.get("split"), (False,))
    return pre_tokenizer["prepend_scheme"]


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
