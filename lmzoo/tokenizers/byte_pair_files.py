"""A byte-pair tokenizer as Hugging Face files, both ways."""

import pathlib

from lmzoo.json_files import read_json, read_text, write_json, write_text
from lmzoo.tokenizers.token_files import (
    FileCheck,
    describe_special,
    find_special,
    get_content,
    read_named,
)

__all__ = ["ROLES", "read_files", "write_files"]

# The words of lmzoo and of Hugging Face for the tokens a model asks for by role.
ROLES = {
    "end_token": "eos_token",
    "start_token": "bos_token",
    "pad_token": "pad_token",
    "mask_token": "mask_token",
}
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
# The options of a model that would change the ids, with the values that leave them as they are.
_PLAIN_MODEL = {
    "dropout": (None, 0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "ignore_merges": (False, None),
}
_KIND = "the byte-level BPE of GPT-2"


def write_files(folder, vocabulary, roles, strip_left):
    """Writes `tokenizer.json`, `vocab.json`, `merges.txt` and the two small files beside them.

    Args:
        folder: str or path. Made if it is not there.
        vocabulary: BytePairVocabulary.
        roles: dict of the keys of `ROLES` to str or None.
        strip_left: tuple of str. The special tokens that take the white space before them.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    added = {
        ids[token]: describe_special(token, token in strip_left)
        for token in sorted(vocabulary.special_tokens, key=ids.get)
    }
    named = {ROLES[role]: token for role, token in roles.items() if token is not None}
    named.setdefault("bos_token", roles["end_token"])
    # Without it transformers would add its own "<|endoftext|>" behind the vocabulary.
    named["unk_token"] = roles["end_token"]
    write_text(folder / "merges.txt", _format_merges(vocabulary.merges))
    write_json(folder / "vocab.json", ids)
    write_json(folder / "special_tokens_map.json", named)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "GPT2Tokenizer",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            **named,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": index, **token} for index, token in added.items()],
            "normalizer": None,
            "pre_tokenizer": {**_BYTE_LEVEL, "use_regex": True},
            "post_processor": {**_BYTE_LEVEL, "trim_offsets": False, "use_regex": True},
            "decoder": {**_BYTE_LEVEL, "use_regex": True},
            "model": {
                "type": "BPE",
                **{option: plain[0] for option, plain in _PLAIN_MODEL.items()},
                "unk_token": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "vocab": ids,
                "merges": [list(pair) for pair in vocabulary.merges],
            },
        },
    )


def _format_merges(merges):
    return "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)


def read_files(folder):
    """Reads `tokenizer.json`, or `vocab.json` with `merges.txt`.

    Args:
        folder: str or path.
    Returns:
        dict of the arguments of `BytePairTokenizer`.
    Raises:
        FileNotFoundError: if neither is there.
        ValueError: if a file is too large, broken, or describes another kind of tokenizer.
    """
    folder = pathlib.Path(folder)
    named = read_named(folder)
    if (folder / "tokenizer.json").is_file():
        found = _read_fast(folder / "tokenizer.json")
    elif (folder / "vocab.json").is_file():
        found = _read_slow(folder, named)
    else:
        raise FileNotFoundError(
            "`folder` must hold tokenizer.json, or vocab.json and merges.txt. "
            f"Received: {str(folder)!r}."
        )
    if named.get("add_prefix_space") not in (None, False):
        raise ValueError(
            "tokenizer_config.json must not ask for add_prefix_space. "
            f"Received: {named['add_prefix_space']!r:.40} in {str(folder)!r}."
        )
    special = find_special(
        found["special_tokens"], found["vocabulary"], named, ROLES.values(), folder
    )
    if not special and "<|endoftext|>" in found["vocabulary"]:
        special = ["<|endoftext|>"]
    found["special_tokens"] = special
    roles = {role: get_content(named.get(theirs)) for role, theirs in ROLES.items()}
    if "eos_token" not in named and "<|endoftext|>" in found["special_tokens"]:
        roles["end_token"] = "<|endoftext|>"
    return {**found, **roles}


def _read_fast(path):
    content, check = read_json(path), FileCheck(path, _KIND)
    model = content.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else model
    check.expect("model.type", kind, ("BPE",))
    check.expect("normalizer", content.get("normalizer"), (None,))
    splitter = content.get("pre_tokenizer")
    check.expect_section("pre_tokenizer", splitter)
    check.expect("pre_tokenizer.type", splitter.get("type"), ("ByteLevel",))
    check.expect("pre_tokenizer.add_prefix_space", splitter.get("add_prefix_space"), (False,))
    check.expect("pre_tokenizer.use_regex", splitter.get("use_regex", True), (True,))
    for option, plain in _PLAIN_MODEL.items():
        check.expect(f"model.{option}", model.get(option), plain)
    check.expect_section("model.vocab", model.get("vocab"))
    vocabulary = dict(model["vocab"])
    if not isinstance(model.get("merges"), list):
        check.refuse("model.merges", model.get("merges"), "a list")
    added, strip_left = _read_added(check, content.get("added_tokens") or [], vocabulary)
    return {
        "vocabulary": vocabulary,
        "merges": model["merges"],
        "special_tokens": added,
        "strip_left": strip_left,
    }


def _read_added(check, tokens, vocabulary):
    tokens = check.read_added(tokens, vocabulary, refused=("rstrip", "single_word"))
    return (
        [token["content"] for token in tokens],
        [token["content"] for token in tokens if token.get("lstrip")],
    )


def _read_slow(folder, named):
    vocabulary = read_json(folder / "vocab.json")
    described = named.get("added_tokens_decoder") or {}
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    check.expect_section("added_tokens_decoder", described)
    ids = {int(index): token for index, token in described.items() if index.isdecimal()}
    if (folder / "added_tokens.json").is_file():
        for token, index in read_json(folder / "added_tokens.json").items():
            ids.setdefault(index, {"content": token, "special": True})
    tokens = [{**token, "id": index} for index, token in ids.items() if isinstance(token, dict)]
    added, strip_left = _read_added(check, tokens, vocabulary)
    lines = [line.rstrip("\r") for line in read_text(folder / "merges.txt").split("\n")]
    if lines[0].startswith("#version"):
        del lines[0]
    return {
        "vocabulary": vocabulary,
        "merges": [line for line in lines if line],
        "special_tokens": added,
        "strip_left": strip_left,
    }
