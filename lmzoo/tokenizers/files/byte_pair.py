"""A byte-level byte-pair tokenizer as Hugging Face files, both ways."""

from lmzoo.json_files import read_json, read_text, write_json, write_text
from lmzoo.tokenizers.files.byte_pair_json import (
    make_byte_pair_form,
    read_byte_pair_added,
    read_byte_pair_form,
)
from lmzoo.tokenizers.files.common import (
    FileCheck,
    describe_special,
    find_special,
    get_content,
    read_more_added,
    read_named,
)
from lmzoo.tokenizers.files.post_processors import check_add_end, read_add_start

__all__ = ["ROLES", "read_files", "write_files"]

# The words of lmzoo and of Hugging Face for the tokens a model asks for by role.
ROLES = {
    "end_token": "eos_token",
    "start_token": "bos_token",
    "pad_token": "pad_token",
    "mask_token": "mask_token",
}
_KIND = "the byte-level BPE of GPT-2, Llama 3 or Qwen2"
# The classes of transformers that say by themselves how text is split, by pattern.
_CLASSES = {"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer"}
_ENCODER_CLASS = "RobertaTokenizer"
_ANY_CLASS = "PreTrainedTokenizerFast"
# What transformers takes for an encoder's tokens where no file names them.
_ENCODER_ROLES = {
    **{"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"},
    **{"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"},
}
# The model types of config.json whose tokenizer is that class, where no file names a class.
_ENCODERS = ("roberta",)


def write_files(folder, tokenizer, vocabulary, lstrip):
    """Writes `tokenizer.json`, the two small files, and `vocab.json` and `merges.txt`.

    These last two are left out where no class of transformers would read them as they are meant.

    Args:
        folder: pathlib.Path.
        tokenizer: BytePairTokenizer.
        vocabulary: BytePairVocabulary. Its own.
        lstrip: tuple of str. The special tokens that take the white space before them.
    """
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    added = {
        ids[token]: describe_special(token, token in lstrip, token not in tokenizer.visible_tokens)
        for token in sorted(vocabulary.special_tokens, key=ids.get)
    }
    named = _name_roles(tokenizer)
    class_name = _name_class(tokenizer)
    if class_name != _ANY_CLASS:
        write_text(folder / "merges.txt", _format_merges(vocabulary.merges))
        write_json(folder / "vocab.json", ids)
    write_json(
        folder / "special_tokens_map.json",
        {role: token for role, token in named.items() if token is not None or role == "unk_token"},
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": class_name,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            **named,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    added = [{"id": index, **token} for index, token in added.items()]
    write_json(folder / "tokenizer.json", make_byte_pair_form(tokenizer, vocabulary, added))


def _name_class(tokenizer):
    """The class of transformers that reads all of the files as they are meant."""
    # Qwen2's class normalizes to NFC, GPT-2's does not.
    if tokenizer.normalize_nfc != (tokenizer.pattern == "qwen2") or tokenizer.ignore_merges:
        return _ANY_CLASS
    if tokenizer.add_bos_and_eos:
        return _ENCODER_CLASS if tokenizer.pattern == "gpt2" else _ANY_CLASS
    if tokenizer.add_start_token:
        return _ANY_CLASS
    return _CLASSES.get(tokenizer.pattern, _ANY_CLASS)


def _name_roles(tokenizer):
    roles = {theirs: getattr(tokenizer, role) for role, theirs in ROLES.items()}
    if tokenizer.add_bos_and_eos:
        start = tokenizer.id_to_token(tokenizer.start_token_id)
        special = tokenizer.special_tokens
        unknown = "<unk>" if "<unk>" in special else tokenizer.end_token
        roles |= {"bos_token": start, "cls_token": start, "sep_token": tokenizer.end_token}
        # A role that nothing plays is named too, or its default would be added.
        return {**roles, "unk_token": unknown}
    if tokenizer.pattern != "gpt2":
        return {"unk_token": None, **roles}
    named = {role: token for role, token in roles.items() if token is not None}
    named.setdefault("bos_token", tokenizer.end_token)
    # Without it transformers would add its own "<|endoftext|>" behind the vocabulary.
    return {**named, "unk_token": tokenizer.end_token}


def _format_merges(merges):
    return "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)


def read_files(folder):
    """Reads `tokenizer.json`, or `vocab.json` with `merges.txt`.

    Args:
        folder: pathlib.Path.
    Returns:
        dict of the arguments of `BytePairTokenizer`.
    Raises:
        FileNotFoundError: if neither is there.
        ValueError: if a file is too large, broken, or describes another kind of tokenizer.
    """
    named = read_named(folder)
    if (folder / "tokenizer.json").is_file():
        found = read_byte_pair_form(folder / "tokenizer.json", _KIND)
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
    if found["add_bos_and_eos"]:
        named = _complete_roles(named, found)
    _add_more(folder, named, found)
    special = find_special(
        found["special_tokens"], found["vocabulary"], named, ROLES.values(), folder
    )
    if not special and "<|endoftext|>" in found["vocabulary"]:
        special = ["<|endoftext|>"]
    found["special_tokens"] = special
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    if not found["add_bos_and_eos"]:
        check_add_end(check, named)
    start, add_start = read_add_start(check, named, found.get("start_token"))
    roles = {role: get_content(named.get(theirs)) for role, theirs in ROLES.items()}
    roles |= {"start_token": start, "add_start_token": add_start and not found["add_bos_and_eos"]}
    if "eos_token" not in named and "<|endoftext|>" in found["special_tokens"]:
        roles["end_token"] = "<|endoftext|>"
    return {**found, **roles}


def _complete_roles(named, found):
    """Names the tokens of an encoder: those around a text, and what no file names."""
    around = {"bos_token": found["start_token"], "eos_token": found["end_token"]}
    known = {role: token for role, token in _ENCODER_ROLES.items() if token in found["vocabulary"]}
    return {**known, **named, **around}


def _add_more(folder, named, found):
    """Adds the tokens that stand beside `tokenizer.json` alone."""
    roles = {**dict.fromkeys(_ENCODER_ROLES), "eos_token": "<|endoftext|>"}
    known = set(found["special_tokens"])
    for check, tokens in read_more_added(folder, named, _KIND, roles):
        tokens = [token for token in tokens if get_content(token) not in known]
        added = read_byte_pair_added(check, tokens, found["vocabulary"], found["normalize_nfc"])
        for name, more in added.items():
            found[name] = [*found[name], *more]


def _read_slow(folder, named):
    vocabulary = read_json(folder / "vocab.json")
    lines = [line.rstrip("\r") for line in read_text(folder / "merges.txt").split("\n")]
    if lines[0].startswith("#version"):
        del lines[0]
    class_name = _find_class(folder, named)
    pattern = next((key for key, known in _CLASSES.items() if known == class_name), "gpt2")
    found = {
        "vocabulary": vocabulary,
        "merges": [line for line in lines if line],
        "pattern": pattern,
        "normalize_nfc": pattern == "qwen2",
        "add_bos_and_eos": class_name == _ENCODER_CLASS,
        **{"special_tokens": [], "lstrip": [], "visible_tokens": []},
    }
    if not found["add_bos_and_eos"]:
        return found
    roles = {
        role: get_content(named.get(role, default)) for role, default in _ENCODER_ROLES.items()
    }
    special = [token for token in dict.fromkeys(roles.values()) if token in vocabulary]
    return {
        **found,
        "special_tokens": special,
        # As that class has it where no file says otherwise.
        "lstrip": [token for token in special if token == roles["mask_token"]],
        "start_token": roles["cls_token"],
        "end_token": roles["sep_token"],
    }


def _find_class(folder, named):
    """What splits text, and puts tokens around it, where no `tokenizer.json` says it."""
    name = named.get("tokenizer_class")
    if isinstance(name, str):
        return name.removesuffix("Fast")
    if (folder / "config.json").is_file():
        model_type = read_json(folder / "config.json").get("model_type")
        return _ENCODER_CLASS if model_type in _ENCODERS else None
    return None
