"""A byte-level byte-pair tokenizer as Hugging Face's `tokenizer.json`, both ways."""

from lmzoo.json_files import read_json
from lmzoo.tokenizers.byte_pair.vocabulary import BYTE_CHARACTERS
from lmzoo.tokenizers.files.common import FileCheck, read_added_token, read_vocabulary
from lmzoo.tokenizers.files.post_processors import (
    check_no_end,
    make_bos_eos_template,
    make_template,
    read_bos_and_eos,
    read_num_separators,
    read_start,
)
from lmzoo.tokenizers.unicode.split_patterns import NAMES, PATTERNS

__all__ = ["make_tokenizer_json", "read_byte_pair_added", "read_tokenizer_json"]

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_NFC = {"type": "NFC"}
# The options of a model that would change the ids, with the values that leave them as they are.
_PLAIN_MODEL = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None, True),
}
# What keeps each match as a word; the patterns match all of a text, so nothing lies between.
_KEEPING = (("Isolated", False), ("Removed", True))


def make_tokenizer_json(tokenizer, vocabulary, added):
    """Describes a tokenizer.

    Args:
        tokenizer: BytePairTokenizer.
        vocabulary: BytePairVocabulary. Its own.
        added: list of dict. The special and added tokens, described.
    Returns:
        dict. The content of `tokenizer.json`.
    """
    byte_level = {**_BYTE_LEVEL, "add_prefix_space": tokenizer.add_prefix_space}
    pre_tokenizer = make_pre_tokenizer(tokenizer.pattern, byte_level)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": _NFC if tokenizer.normalize_nfc else None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": _make_post_processor(tokenizer, vocabulary, byte_level),
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            **{option: plain[0] for option, plain in _PLAIN_MODEL.items()},
            "ignore_merges": tokenizer.ignore_merges,
            "unk_token": tokenizer.unknown_token,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: index for index, token in enumerate(vocabulary.tokens)},
            "merges": [list(pair) for pair in vocabulary.merges],
        },
    }


def make_pre_tokenizer(pattern, byte_level):
    """Describes the pre-tokenization."""
    if pattern == "gpt2":
        return {**byte_level, "use_regex": True}
    if pattern == "gpt2_digits":
        first, use_regex = {"type": "Digits", "individual_digits": True}, True
    else:
        first, use_regex = (
            {
                "type": "Split",
                "pattern": {"Regex": PATTERNS[pattern]},
                "behavior": "Isolated",
                "invert": False,
            },
            False,
        )
    return {"type": "Sequence", "pretokenizers": [first, {**byte_level, "use_regex": use_regex}]}


def _make_post_processor(tokenizer, vocabulary, byte_level):
    """Describes what is put around a text."""
    start_id, end_id = tokenizer.start_token_id, tokenizer.end_token_id
    if tokenizer.add_bos_and_eos and tokenizer.num_separators == 2:
        return {
            "type": "RobertaProcessing",
            "sep": [tokenizer.id_to_token(end_id), end_id],
            "cls": [tokenizer.id_to_token(start_id), start_id],
            "trim_offsets": True,
            "add_prefix_space": tokenizer.add_prefix_space,
        }
    start = None if start_id is None else tokenizer.id_to_token(start_id)
    if tokenizer.add_bos_and_eos:
        end = tokenizer.id_to_token(end_id)
        return make_bos_eos_template(start, end, vocabulary.ids, tokenizer.num_separators)
    use_regex = tokenizer.pattern == "gpt2"
    post_processor = {**byte_level, "trim_offsets": False, "use_regex": use_regex}
    if not tokenizer.add_start_token:
        return post_processor
    return {"type": "Sequence", "processors": [post_processor, make_template(start, start_id)]}


def read_tokenizer_json(path, kind):
    """Reads a description.

    Args:
        path: pathlib.Path. A `tokenizer.json`.
        kind: str. The tokenizer that is expected.
    Returns:
        dict of arguments of `BytePairTokenizer`; `start_token` is there if a text begins with it,
        and `end_token` if it also ends with that.
    Raises:
        ValueError: if the file is broken or describes another kind of tokenizer.
    """
    content, check = read_json(path), FileCheck(path, kind)
    model = content.get("model")
    check.expect_section("model", model)
    check.expect("model.type", model.get("type", "BPE"), ("BPE",))
    for option, plain in _PLAIN_MODEL.items():
        check.expect(f"model.{option}", model.get(option), plain)
    vocabulary = read_vocabulary(check, model.get("vocab"))
    if not isinstance(model.get("merges"), list):
        check.refuse("model.merges", model.get("merges"), "a list")
    post_processor = content.get("post_processor")
    check_no_end(check, post_processor)
    start, bos_and_eos = (
        read_start(check, post_processor),
        read_bos_and_eos(check, post_processor),
    )
    around = {} if start is None else {"start_token": start}
    if bos_and_eos is not None:
        around = dict(zip(("start_token", "end_token"), bos_and_eos, strict=True))
        around["num_separators"] = read_num_separators(check, post_processor)
    added = content.get("added_tokens") or []
    return {
        "vocabulary": vocabulary,
        "merges": model["merges"],
        **_read_pre_tokenizer(check, content.get("pre_tokenizer")),
        "ignore_merges": bool(model.get("ignore_merges")),
        "normalize_nfc": _read_normalizer(check, content.get("normalizer")),
        "unknown_token": _read_unknown(check, model, vocabulary),
        "add_bos_and_eos": bos_and_eos is not None,
        **around,
        **read_byte_pair_added(check, added, vocabulary),
    }


def _read_normalizer(check, normalizer):
    """Whether text is normalized to NFC."""
    if isinstance(normalizer, dict) and normalizer.get("type") == "Sequence":
        parts = normalizer.get("normalizers")
        # An identity, as some published files have it.
        normalizer = None if parts == [] else normalizer
        if isinstance(parts, list) and len(parts) == 1:
            normalizer = parts[0]
    check.expect("normalizer", normalizer, (None, _NFC))
    return normalizer is not None


def _read_unknown(check, model, vocabulary):
    """What stands for a byte that the vocabulary does not have."""
    token = model.get("unk_token")
    if not isinstance(token, str | None):
        check.refuse("model.unk_token", token, "a token or null")
    if token not in vocabulary or all(byte in vocabulary for byte in BYTE_CHARACTERS):
        return None
    check.expect("model.fuse_unk", model.get("fuse_unk"), (None, False))
    return token


def read_byte_pair_added(check, tokens, vocabulary):
    """Reads the special and added tokens of a byte-pair tokenizer.

    Args:
        check: FileCheck. Of the file they stand in.
        tokens: what stands as `added_tokens`, a list of dict.
        vocabulary: dict of str to int. New tokens are put into it.
    Returns:
        dict with `special_tokens`, `lstrip`, `rstrip` and `added_tokens` of `BytePairTokenizer`.
    Raises:
        ValueError: if one has an option that is not read, or another id.
    """
    tokens = check.read_added(tokens, vocabulary, refused=("single_word",), takes_non_special=True)
    special = [token for token in tokens if token["special"]]
    return {
        "special_tokens": [token["content"] for token in special],
        "lstrip": [token["content"] for token in special if token.get("lstrip")],
        "rstrip": [token["content"] for token in special if token.get("rstrip")],
        "added_tokens": [read_added_token(token) for token in tokens if not token["special"]],
    }


def _read_pre_tokenizer(check, pre_tokenizer):
    """The pattern that splits text, and `add_prefix_space`."""
    check.expect_section("pre_tokenizer", pre_tokenizer)
    check.expect("pre_tokenizer.type", pre_tokenizer.get("type"), ("ByteLevel", "Sequence"))
    if pre_tokenizer["type"] == "ByteLevel":
        prefix = _check_byte_level(check, pre_tokenizer, True, (False, True))
        return {"pattern": "gpt2", "add_prefix_space": prefix}
    parts = pre_tokenizer.get("pretokenizers")
    kinds = parts
    if isinstance(parts, list):
        kinds = [part.get("type") if isinstance(part, dict) else part for part in parts]
    known = (["Split", "ByteLevel"], ["Digits", "ByteLevel"])
    check.expect("pre_tokenizer.pretokenizers", kinds, known)
    first, byte_level = parts
    if first["type"] == "Digits":
        check.expect("pre_tokenizer.individual_digits", first.get("individual_digits"), (True,))
        _check_byte_level(check, byte_level, True)
        return {"pattern": "gpt2_digits"}
    _check_byte_level(check, byte_level, False)
    how = first.get("behavior"), first.get("invert", False)
    check.expect("pre_tokenizer.behavior, invert", how, _KEEPING)
    check.expect_section("pre_tokenizer.pattern", first.get("pattern"))
    regex = first["pattern"].get("Regex")
    if not isinstance(regex, str) or regex not in NAMES:
        check.refuse("pre_tokenizer.pattern.Regex", regex, f"that of {' or '.join(PATTERNS)}")
    return {"pattern": NAMES[regex]}


def _check_byte_level(check, part, use_regex, prefix=(False,)):
    check.expect("pre_tokenizer.add_prefix_space", part.get("add_prefix_space"), prefix)
    check.expect("pre_tokenizer.use_regex", part.get("use_regex", True), (use_regex,))
    return part.get("add_prefix_space")
