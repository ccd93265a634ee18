"""A WordPiece tokenizer as Hugging Face files, both ways."""

from lmzoo.json_files import read_json, read_text, write_json, write_text
from lmzoo.tokenizers.files.common import (
    FileCheck,
    describe_special,
    find_special,
    get_content,
    read_more_added,
    read_named,
)

__all__ = ["ROLES", "read_word_piece_files", "write_word_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and BERT's own.
ROLES = {
    "unknown_token": ("unk_token", "[UNK]"),
    "start_token": ("cls_token", "[CLS]"),
    "end_token": ("sep_token", "[SEP]"),
    "pad_token": ("pad_token", "[PAD]"),
    "mask_token": ("mask_token", "[MASK]"),
}
# What lmzoo, tokenizer.json and tokenizer_config.json call the options of the cleaning.
_CLEANING = {
    "lowercase": ("lowercase", "do_lower_case"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "split_chinese": ("handle_chinese_chars", "tokenize_chinese_chars"),
}
_KIND = "the WordPiece of BERT"


def write_word_piece_files(folder, tokenizer, vocabulary):
    """Writes `tokenizer.json`, `vocab.txt` and the two small files beside them.

    Args:
        folder: pathlib.Path.
        tokenizer: WordPieceTokenizer.
        vocabulary: WordPieceVocabulary. Its own.
    """
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    added = {
        ids[token]: describe_special(token)
        for token in sorted(vocabulary.special_tokens, key=ids.get)
    }
    roles = {theirs: getattr(tokenizer, role) for role, (theirs, _) in ROLES.items()}
    write_text(folder / "vocab.txt", "".join(f"{token}\n" for token in vocabulary.tokens))
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    write_json(folder / "special_tokens_map.json", named)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer",
            **{theirs: getattr(tokenizer, name) for name, (_, theirs) in _CLEANING.items()},
            "clean_up_tokenization_spaces": True,
            # A role that nothing plays is named too, or its default would be added.
            **roles,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    write_json(folder / "tokenizer.json", _make_fast_form(tokenizer, ids, added))


def _make_fast_form(tokenizer, ids, added):
    """What `tokenizer.json` holds."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, **token} for index, token in added.items()],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            **{theirs: getattr(tokenizer, name) for name, (theirs, _) in _CLEANING.items()},
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _make_template(ids, tokenizer.start_token, tokenizer.end_token),
        "decoder": {"type": "WordPiece", "prefix": tokenizer.prefix, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": tokenizer.unknown_token,
            "continuing_subword_prefix": tokenizer.prefix,
            "max_input_chars_per_word": tokenizer.max_word_characters,
            "vocab": ids,
        },
    }


def _make_template(ids, start, end):
    """How the reference puts the start before a text, and the end behind it and between two."""

    def add(kind, name, segment):
        return [] if name is None else [{kind: {"id": name, "type_id": segment}}]

    def close(name, segment):
        return add("Sequence", name, segment) + add("SpecialToken", end, segment)

    single = add("SpecialToken", start, 0) + close("A", 0)
    special = [token for token in (start, end) if token is not None]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + close("B", 1),
        "special_tokens": {
            token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in special
        },
    }


def read_word_piece_files(folder):
    """Reads `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json` if that is there.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of the arguments of `WordPieceTokenizer`.
    Raises:
        FileNotFoundError: if neither is there.
        ValueError: if a file is too large, broken, or describes another kind of tokenizer.
    """
    named = read_named(folder)
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    check.expect("do_basic_tokenize", named.get("do_basic_tokenize"), (None, True))
    if (folder / "tokenizer.json").is_file():
        found = _read_fast(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        found = _read_slow(folder / "vocab.txt")
    else:
        raise FileNotFoundError(
            f"`folder` must hold tokenizer.json or vocab.txt. Received: {str(folder)!r}."
        )
    # As in transformers, what the config says of the cleaning goes before what tokenizer.json says.
    for name, (_, theirs) in _CLEANING.items():
        if theirs in named:
            found[name] = named[theirs]
    more = read_more_added(folder, named, _KIND, dict(ROLES.values()))
    for source, tokens in more:
        found["special_tokens"] += _read_added(source, tokens, found["vocabulary"])
    if not found["special_tokens"]:
        defaults = (token for _, token in ROLES.values())
        found["special_tokens"] = [token for token in defaults if token in found["vocabulary"]]
    theirs = [name for name, _ in ROLES.values()]
    special = find_special(found["special_tokens"], found["vocabulary"], named, theirs, folder)
    roles = {}
    for role, (name, default) in ROLES.items():
        roles[role] = get_content(named.get(name, default if default in special else None))
    unknown = found.pop("unknown_token", None) or roles["unknown_token"]
    if unknown is None or unknown not in found["vocabulary"]:
        raise ValueError(
            "The vocabulary must hold the unknown token. "
            f"Received: {unknown or '[UNK]'!r:.80} in {str(folder)!r}, which it does not."
        )
    found["special_tokens"] = sorted({*special, unknown}, key=found["vocabulary"].get)
    return {**found, **roles, "unknown_token": unknown}


def _read_fast(path):
    content, check = read_json(path), FileCheck(path, _KIND)
    model, cleaning, splitter = (
        content.get(name) for name in ("model", "normalizer", "pre_tokenizer")
    )
    kind = model.get("type") if isinstance(model, dict) else model
    check.expect("model.type", kind, ("WordPiece",))
    check.expect_section("normalizer", cleaning)
    check.expect("normalizer.type", cleaning.get("type"), ("BertNormalizer",))
    check.expect("normalizer.clean_text", cleaning.get("clean_text"), (True,))
    check.expect_section("pre_tokenizer", splitter)
    check.expect("pre_tokenizer.type", splitter.get("type"), ("BertPreTokenizer",))
    check.expect_section("model.vocab", model.get("vocab"))
    vocabulary = dict(model["vocab"])
    tokens = content.get("added_tokens") or []
    return {
        "vocabulary": vocabulary,
        "special_tokens": _read_added(check, tokens, vocabulary),
        "unknown_token": get_content(model.get("unk_token")),
        "prefix": model.get("continuing_subword_prefix", "##"),
        "max_word_characters": model.get("max_input_chars_per_word", 100),
        **{name: cleaning.get(theirs) for name, (theirs, _) in _CLEANING.items()},
    }


def _read_added(check, tokens, vocabulary):
    # White space goes anyway, so it does not matter whether a token takes some along.
    tokens = check.read_added(tokens, vocabulary, refused=("single_word", "normalized"))
    return [token["content"] for token in tokens]


def _read_slow(path):
    # Not splitlines: it also cuts at U+2028 and others, which are tokens of published files.
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    if not lines[-1]:
        lines.pop()
    vocabulary = {}
    for index, line in enumerate(lines):
        if vocabulary.setdefault(line, index) != index:
            raise ValueError(
                f"vocab.txt must hold a token once. Received: {line!r:.80} on the lines "
                f"{vocabulary[line] + 1} and {index + 1} of {str(path)!r}."
            )
    return {"vocabulary": vocabulary, "special_tokens": []}
