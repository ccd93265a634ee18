"""A unigram SentencePiece model as Hugging Face's `tokenizer.json`, both ways."""

import base64
import binascii
import re

from lmzoo.runtime.sentence_piece_file.model import PieceType, build_model
from lmzoo.runtime.sentence_piece_file.normalization_table import WHITE_SPACE_RULES
from lmzoo.tokenizers.files.common import FileCheck

__all__ = ["can_be_unigram_json", "make_unigram_json", "read_rules", "read_unigram_json"]

_SPACES = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}


def can_be_unigram_json(vocabulary):
    """Says whether `tokenizer.json` can describe a tokenizer as it is.

    Args:
        vocabulary: SentencePieceVocabulary.
    Returns:
        bool.
    """
    model = vocabulary.model
    plain = (
        model.model_type == "unigram"
        and vocabulary.ordinary_types == {PieceType.NORMAL}
        and model.rules
    )
    return bool(plain and model.add_dummy_prefix and model.remove_extra_whitespaces)


def make_unigram_json(vocabulary, added, post_processor):
    """Describes a tokenizer as transformers describes T5's.

    Args:
        vocabulary: SentencePieceVocabulary, for which `can_be_unigram_json` is True.
        added: list of dict. The special tokens, described.
        post_processor: dict or None.
    Returns:
        dict.
    """
    model = vocabulary.model
    pieces = list(zip(model.pieces, model.scores, strict=True))
    pieces += [(token, 0.0) for token in vocabulary.tokens[len(pieces) :]]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(model.rules).decode(),
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, _SPACES],
        },
        "post_processor": post_processor,
        "decoder": _SPACES,
        "model": {
            "type": "Unigram",
            "unk_id": model.types.index(PieceType.UNKNOWN),
            "vocab": [list(pair) for pair in pieces],
            "byte_fallback": False,
        },
    }


def read_unigram_json(path, content, kind, class_splits):
    """Builds a model from a `tokenizer.json`.

    Args:
        path: pathlib.Path.
        content: dict. What the file holds.
        kind: str. The tokenizer that is expected.
        class_splits: bool. If True, the class of transformers splits text at white space, whatever
            the file says.
    Returns:
        model: bytes. A model file.
        num_sentinels: int.
    Raises:
        ValueError: if the file is broken or describes another kind of tokenizer.
    """
    check, model = FileCheck(path, kind), content.get("model")
    check.expect_section("model", model)
    check.expect("model.type", model.get("type"), ("Unigram",))
    check.expect("model.byte_fallback", model.get("byte_fallback", False), (False,))
    rules = read_rules(path, content, kind, class_splits)
    pieces = _read_pieces(check, model.get("vocab"))
    names = [piece for piece, _ in pieces]
    added = content.get("added_tokens") or []
    ids = {name: index for index, name in enumerate(names)}
    added = check.read_added(added, ids, refused=("single_word",), takes_non_special=True)
    special = [token for token in added if token["special"]]
    for token in special:
        name = f"added_tokens.normalized of {token['content']!r:.60}"
        check.expect(name, token.get("normalized"), (None, False))
    # Sentinels that are added tokens stand behind the pieces.
    behind = {
        token["content"] for token in special if re.match("<extra_id_[0-9]+>$", token["content"])
    }
    control = {token["content"] for token in special} - behind
    kept = [(name, score) for name, score in pieces if name not in behind]
    if names[: len(kept)] != [name for name, _ in kept]:
        check.refuse("model.vocab", sorted(behind)[0], "sentinels at the end")
    unknown = model.get("unk_id")
    if type(unknown) is not int or not 0 <= unknown < len(kept):
        check.refuse("model.unk_id", unknown, "an id of a piece")
    types = [PieceType.CONTROL if name in control else PieceType.NORMAL for name, _ in kept]
    types[unknown] = PieceType.UNKNOWN
    return build_model(path, *zip(*kept, strict=True), tuple(types), rules=rules), len(behind)


def read_rules(path, content, kind, class_splits):
    """Reads the normalization table, and checks that spaces are treated as the library does it.

    Args:
        path, content, kind, class_splits: as for `read_unigram_json`.
    Returns:
        bytes. A `precompiled_charsmap`.
    Raises:
        ValueError: if the file describes another kind of tokenizer.
    """
    check = FileCheck(path, kind)
    rules, removes_spaces = _read_normalizer(check, content.get("normalizer"))
    _check_spaces(check, content.get("pre_tokenizer"), removes_spaces or class_splits)
    return rules


def _read_normalizer(check, normalizer):
    """Reads the normalization table, and whether double spaces and those at the end are removed."""
    if normalizer is None:
        # As transformers 5 writes a T5 without a table: white space is split off, each character
        # of it, where the library knows U+0020 alone.
        return WHITE_SPACE_RULES, False
    check.expect_section("normalizer", normalizer)
    if normalizer.get("type") != "Sequence":
        return _read_rules(check, normalizer), False
    parts = normalizer.get("normalizers")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        check.refuse("normalizer.normalizers", parts, "a list of objects")
    kinds = [part.get("type") for part in parts]
    known = (["Precompiled", "Strip", "Replace"], ["Precompiled"])
    check.expect("normalizer.normalizers", kinds, known)
    if len(parts) > 1:
        # With Metaspace behind it a space before a text makes no difference.
        check.expect("normalizer.strip_right", parts[1].get("strip_right"), (True,))
        check.expect("normalizer.pattern", parts[2].get("pattern"), ({"Regex": " {2,}"},))
        check.expect("normalizer.content", parts[2].get("content"), (" ", "\u2581"))
    return _read_rules(check, parts[0]), len(parts) > 1


def _read_rules(check, normalizer):
    check.expect("normalizer.type", normalizer.get("type"), ("Precompiled",))
    table = normalizer.get("precompiled_charsmap")
    try:
        return base64.b64decode(table, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return check.refuse("normalizer.precompiled_charsmap", table, "base64")


def _check_spaces(check, splitter, removes_spaces):
    check.expect_section("pre_tokenizer", splitter)
    parts = splitter.get("pretokenizers") if splitter.get("type") == "Sequence" else [splitter]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        check.refuse("pre_tokenizer.pretokenizers", parts, "a list of objects")
    kinds = [part.get("type") for part in parts]
    # Metaspace alone would keep double spaces and those at the end, which the library removes.
    known = (["WhitespaceSplit", "Metaspace"], *([["Metaspace"]] if removes_spaces else []))
    check.expect("pre_tokenizer", kinds, known)
    spaces = parts[-1]
    check.expect("pre_tokenizer.replacement", spaces.get("replacement"), ("\u2581",))
    check.expect("pre_tokenizer.add_prefix_space", spaces.get("add_prefix_space"), (None, True))
    check.expect("pre_tokenizer.prepend_scheme", spaces.get("prepend_scheme"), (None, "always"))


def _read_pieces(check, pieces):
    if not isinstance(pieces, list) or not pieces:
        check.refuse("model.vocab", pieces, "a list of pieces")
    for pair in pieces:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            check.refuse("model.vocab", pair, "pieces with their scores")
        if type(pair[1]) not in (int, float):
            check.refuse("model.vocab", pair, "pieces with their scores")
    return pieces
