"""A byte-level byte-pair tokenizer as Hugging Face's `tokenizer.json`, both ways."""

from lmzoo.json_files import read_json
from lmzoo.tokenizers.files.common import FileCheck
from lmzoo.tokenizers.files.post_processors import make_template, read_bos_and_eos, read_start
from lmzoo.tokenizers.unicode.split_patterns import PATTERNS

__all__ = ["make_byte_pair_form", "read_byte_pair_added", "read_byte_pair_form"]

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_COMPOSED = {"type": "NFC"}
# The options of a model that would change the ids, with the values that leave them as they are.
_PLAIN_MODEL = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None, True),
}
# What keeps each match as a word; the patterns match all of a text, so nothing lies between.
_KEEPING = (("Isolated", False), ("Removed", True))


def make_byte_pair_form(tokenizer, vocabulary, added):
    """Describes a tokenizer.

    Args:
        tokenizer: BytePairTokenizer.
        vocabulary: BytePairVocabulary. Its own.
        added: list of dict. The special tokens, described.
    Returns:
        dict.
    """
    use_regex = tokenizer.pattern == "gpt2"
    splitter = {**_BYTE_LEVEL, "use_regex": use_regex}
    if not use_regex:
        split = {
            "type": "Split",
            "pattern": {"Regex": PATTERNS[tokenizer.pattern]},
            "behavior": "Isolated",
            "invert": False,
        }
        splitter = {"type": "Sequence", "pretokenizers": [split, splitter]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": _COMPOSED if tokenizer.normalize_nfc else None,
        "pre_tokenizer": splitter,
        "post_processor": _make_finish(tokenizer, use_regex),
        "decoder": {**_BYTE_LEVEL, "use_regex": True},
        "model": {
            "type": "BPE",
            **{option: plain[0] for option, plain in _PLAIN_MODEL.items()},
            "ignore_merges": tokenizer.ignore_merges,
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: index for index, token in enumerate(vocabulary.tokens)},
            "merges": [list(pair) for pair in vocabulary.merges],
        },
    }


def _make_finish(tokenizer, use_regex):
    """What is put around a text."""
    start_id, end_id = tokenizer.start_token_id, tokenizer.end_token_id
    if tokenizer.add_bos_and_eos:
        return {
            "type": "RobertaProcessing",
            "sep": [tokenizer.id_to_token(end_id), end_id],
            "cls": [tokenizer.id_to_token(start_id), start_id],
            "trim_offsets": True,
            "add_prefix_space": False,
        }
    finish = {**_BYTE_LEVEL, "trim_offsets": False, "use_regex": use_regex}
    if not tokenizer.add_start_token:
        return finish
    template = make_template(tokenizer.id_to_token(start_id), start_id)
    return {"type": "Sequence", "processors": [finish, template]}


def read_byte_pair_form(path, kind):
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
    name = model.get("type", "BPE") if isinstance(model, dict) else model
    check.expect("model.type", name, ("BPE",))
    check.expect("normalizer", content.get("normalizer"), (None, _COMPOSED))
    pattern = _read_pattern(check, content.get("pre_tokenizer"))
    for option, plain in _PLAIN_MODEL.items():
        check.expect(f"model.{option}", model.get(option), plain)
    check.expect_section("model.vocab", model.get("vocab"))
    vocabulary = dict(model["vocab"])
    if not isinstance(model.get("merges"), list):
        check.refuse("model.merges", model.get("merges"), "a list")
    finish = content.get("post_processor")
    start, bos_and_eos = read_start(check, finish), read_bos_and_eos(check, finish)
    around = {} if start is None else {"start_token": start}
    if bos_and_eos is not None:
        around = dict(zip(("start_token", "end_token"), bos_and_eos, strict=True))
    normalize_nfc = content.get("normalizer") is not None
    added = content.get("added_tokens") or []
    return {
        "vocabulary": vocabulary,
        "merges": model["merges"],
        "pattern": pattern,
        "ignore_merges": bool(model.get("ignore_merges")),
        "normalize_nfc": normalize_nfc,
        "add_bos_and_eos": bos_and_eos is not None,
        **around,
        **read_byte_pair_added(check, added, vocabulary, normalize_nfc),
    }


def read_byte_pair_added(check, tokens, vocabulary, normalize_nfc):
    """Reads the added tokens of a byte-pair tokenizer.

    Args:
        check: FileCheck. Of the file they stand in.
        tokens: what stands as `added_tokens`, a list of dict.
        vocabulary: dict of str to int. New tokens are put into it.
        normalize_nfc: bool. Whether text is composed first.
    Returns:
        dict with `special_tokens`, `lstrip` and `visible_tokens` of `BytePairTokenizer`.
    Raises:
        ValueError: if one has an option that is not read, or another id.
    """
    tokens = check.read_added(
        tokens, vocabulary, refused=("rstrip", "single_word"), takes_visible=True
    )
    visible = [token for token in tokens if not token["special"]]
    # Those are found before text is composed, so one that is looked for behind that is not read.
    for token in visible:
        for option in ("lstrip", "normalized") if normalize_nfc else ("lstrip",):
            name = f"added_tokens.{option} of {token['content']!r:.60}"
            check.expect(name, token.get(option), (None, False))
    return {
        "special_tokens": [token["content"] for token in tokens],
        "lstrip": [token["content"] for token in tokens if token.get("lstrip")],
        "visible_tokens": [token["content"] for token in visible],
    }


def _read_pattern(check, splitter):
    """The name of the pattern that splits text."""
    check.expect_section("pre_tokenizer", splitter)
    check.expect("pre_tokenizer.type", splitter.get("type"), ("ByteLevel", "Sequence"))
    if splitter["type"] == "ByteLevel":
        _check_bytes(check, splitter, True)
        return "gpt2"
    parts = splitter.get("pretokenizers")
    kinds = parts
    if isinstance(parts, list):
        kinds = [part.get("type") if isinstance(part, dict) else part for part in parts]
    check.expect("pre_tokenizer.pretokenizers", kinds, (["Split", "ByteLevel"],))
    split, byte_level = parts
    _check_bytes(check, byte_level, False)
    how = split.get("behavior"), split.get("invert", False)
    check.expect("pre_tokenizer.behavior, invert", how, _KEEPING)
    check.expect_section("pre_tokenizer.pattern", split.get("pattern"))
    names = {pattern: name for name, pattern in PATTERNS.items()}
    regex = split["pattern"].get("Regex")
    if not isinstance(regex, str) or regex not in names:
        check.refuse("pre_tokenizer.pattern.Regex", regex, f"that of {' or '.join(PATTERNS)}")
    return names[regex]


def _check_bytes(check, part, use_regex):
    check.expect("pre_tokenizer.add_prefix_space", part.get("add_prefix_space"), (False,))
    check.expect("pre_tokenizer.use_regex", part.get("use_regex", True), (use_regex,))
