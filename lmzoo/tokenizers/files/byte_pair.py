"""A byte-level byte-pair tokenizer as Hugging Face files, both ways."""

from lmzoo.json_files import read_json, read_text, write_json, write_text
from lmzoo.tokenizers.files.byte_pair_json import (
    make_tokenizer_json,
    read_byte_pair_added,
    read_tokenizer_json,
)
from lmzoo.tokenizers.files.common import (
    ANY_CLASS,
    FileCheck,
    describe_tokens,
    find_special,
    get_content,
    read_class_name,
    read_more_added,
    read_named,
    read_vocabulary,
)
from lmzoo.tokenizers.files.post_processors import check_add_end, read_add_start

__all__ = ["ROLES", "read_files", "write_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role.
ROLES = {
    "end_token": "eos_token",
    "start_token": "bos_token",
    "pad_token": "pad_token",
    "mask_token": "mask_token",
}
_KIND = "the byte-level BPE of GPT-2, RoBERTa, Llama 3 or Qwen2"
# The classes of transformers that imply a pre-tokenization, by pattern. They read vocab.json and
# merges.txt, and take `add_prefix_space` from tokenizer_config.json.
_CLASSES = {"gpt2": "GPT2Tokenizer", "qwen2": "Qwen2Tokenizer"}
_ENCODER_CLASS = "RobertaTokenizer"
# Classes whose texts have the ids of those above.
_SAME_AS = {
    **{"CodeGenTokenizer": "GPT2Tokenizer"},
    **dict.fromkeys(("BartTokenizer", "LongformerTokenizer", "LEDTokenizer"), _ENCODER_CLASS),
}
# What transformers takes for an encoder's tokens where no file names them.
_ENCODER_ROLES = {
    **{"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"},
    **{"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"},
}


def write_files(folder, tokenizer, vocabulary, lstrip, rstrip):
    """Writes `tokenizer.json`, the two small files, and `vocab.json` and `merges.txt`.

    These last two are left out where no class of transformers would read them as they are meant.

    Args:
        folder: pathlib.Path.
        tokenizer: BytePairTokenizer.
        vocabulary: BytePairVocabulary. Its own.
        lstrip, rstrip: tuple of str. The special tokens that match the white space before them, or
            behind them, too.
    """
    added = describe_tokens(vocabulary, lstrip, rstrip)
    class_name = _name_class(tokenizer)
    named = _name_roles(tokenizer, class_name)
    if class_name != ANY_CLASS:
        write_text(folder / "merges.txt", _format_merges(vocabulary.merges))
        write_json(
            folder / "vocab.json", {token: index for index, token in enumerate(vocabulary.tokens)}
        )
    write_json(
        folder / "special_tokens_map.json",
        {role: token for role, token in named.items() if token is not None or role == "unk_token"},
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": class_name,
            "add_prefix_space": tokenizer.add_prefix_space,
            "clean_up_tokenization_spaces": False,
            **named,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    added = [{"id": index, **token} for index, token in added.items()]
    write_json(folder / "tokenizer.json", make_tokenizer_json(tokenizer, vocabulary, added))


def _name_class(tokenizer):
    """The class of transformers that reads all of the files as they are meant."""
    # Qwen2's class normalizes to NFC, GPT-2's does not; neither has an unknown token.
    if tokenizer.normalize_nfc != (tokenizer.pattern == "qwen2") or tokenizer.ignore_merges:
        return ANY_CLASS
    if tokenizer.unknown_token is not None:
        return ANY_CLASS
    if tokenizer.add_bos_and_eos:
        is_roberta = tokenizer.pattern == "gpt2" and tokenizer.num_separators == 2
        return _ENCODER_CLASS if is_roberta else ANY_CLASS
    if tokenizer.add_start_token:
        return ANY_CLASS
    return _CLASSES.get(tokenizer.pattern, ANY_CLASS)


def _name_roles(tokenizer, class_name):
    roles = {theirs: getattr(tokenizer, role) for role, theirs in ROLES.items()}
    if tokenizer.add_bos_and_eos:
        start = tokenizer.id_to_token(tokenizer.start_token_id)
        unknown = _name_unknown(tokenizer)
        roles |= {"cls_token": start, "sep_token": tokenizer.end_token, "unk_token": unknown}
        # A role without a token is named too, or its default would be added.
        return {**roles, "bos_token": start} if class_name == _ENCODER_CLASS else roles
    if tokenizer.pattern != "gpt2":
        return {"unk_token": tokenizer.unknown_token, **roles}
    named = {role: token for role, token in roles.items() if token is not None}
    named.setdefault("bos_token", tokenizer.end_token)
    # Without it transformers would add its own "<|endoftext|>" behind the vocabulary.
    return {**named, "unk_token": tokenizer.unknown_token or tokenizer.end_token}


def _name_unknown(tokenizer):
    if tokenizer.unknown_token is not None:
        return tokenizer.unknown_token
    known = (token for token in ("<unk>", "[UNK]") if token in tokenizer.special_tokens)
    return next(known, tokenizer.end_token)


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
    class_name = _read_class(folder, named)
    if (folder / "tokenizer.json").is_file():
        found = read_tokenizer_json(folder / "tokenizer.json", _KIND)
    elif (folder / "vocab.json").is_file():
        found = _read_vocab_json(folder, named, class_name)
    else:
        raise FileNotFoundError(
            "`folder` must hold tokenizer.json, or vocab.json and merges.txt. "
            f"Received: {str(folder)!r}."
        )
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    _read_add_prefix_space(check, named, class_name, found)
    if found["add_bos_and_eos"]:
        named = _complete_roles(named, found)
    _add_more(folder, named, found)
    special = find_special(
        found["special_tokens"], found["vocabulary"], named, ROLES.values(), folder
    )
    if not special and "<|endoftext|>" in found["vocabulary"]:
        special = ["<|endoftext|>"]
    unknown = found["unknown_token"]
    if unknown is not None and unknown not in special:
        special.append(unknown)
    found["special_tokens"] = special
    # What a small file calls special is special.
    found["added_tokens"] = [
        token for token in found["added_tokens"] if token.content not in special
    ]
    if (folder / "tokenizer.json").is_file():
        # As in transformers 5, it says by itself what is added.
        named = {**named, "add_bos_token": None, "add_eos_token": None}
    if not found["add_bos_and_eos"]:
        check_add_end(check, named)
    start, add_start = read_add_start(check, named, found.get("start_token"))
    roles = {role: get_content(named.get(theirs)) for role, theirs in ROLES.items()}
    roles |= {"start_token": start, "add_start_token": add_start and not found["add_bos_and_eos"]}
    if "eos_token" not in named and "<|endoftext|>" in found["special_tokens"]:
        roles["end_token"] = "<|endoftext|>"
    return {**found, **roles}


def _read_class(folder, named):
    """What splits text, and puts tokens around it, where no `tokenizer.json` says it."""
    name = read_class_name(folder, named, implied=(*_CLASSES.values(), _ENCODER_CLASS))
    return _SAME_AS.get(name, name)


def _read_add_prefix_space(check, named, class_name, found):
    """As in transformers, the small file is asked where a class is named that reads it."""
    wanted = named.get("add_prefix_space")
    check.expect("add_prefix_space", wanted, (None, False, True))
    if wanted is None or class_name == ANY_CLASS:
        return
    if wanted and found["pattern"] != "gpt2":
        check.refuse("add_prefix_space", wanted, "False")
    found["add_prefix_space"] = wanted


def _complete_roles(named, found):
    """Names the tokens of an encoder: those around a text, and what no file names."""
    around = {"bos_token": found["start_token"], "eos_token": found["end_token"]}
    known = {role: token for role, token in _ENCODER_ROLES.items() if token in found["vocabulary"]}
    return {**known, **named, **around}


def _add_more(folder, named, found):
    """Adds the tokens that stand beside `tokenizer.json` alone."""
    roles = {**dict.fromkeys(_ENCODER_ROLES), "eos_token": "<|endoftext|>"}
    known = {*found["special_tokens"], *(token.content for token in found["added_tokens"])}
    for check, tokens in read_more_added(folder, named, _KIND, roles):
        tokens = [token for token in tokens if get_content(token) not in known]
        added = read_byte_pair_added(check, tokens, found["vocabulary"])
        for name, more in added.items():
            found[name] = [*found[name], *more]


def _read_vocab_json(folder, named, class_name):
    vocabulary = read_vocabulary(
        FileCheck(folder / "vocab.json", _KIND), read_json(folder / "vocab.json")
    )
    lines = [line.rstrip("\r") for line in read_text(folder / "merges.txt").split("\n")]
    if lines[0].startswith("#version"):
        del lines[0]
    patterns = {**{name: pattern for pattern, name in _CLASSES.items()}, _ENCODER_CLASS: "gpt2"}
    if class_name not in (None, *patterns):
        raise ValueError(
            f"Without tokenizer.json a folder must be for {', '.join(patterns)}, whose "
            f"pre-tokenization is known. Received: {class_name!r:.80} in {str(folder)!r}. If it is "
            "one that transformers opens, its `save_pretrained` writes tokenizer.json."
        )
    pattern = patterns.get(class_name, "gpt2")
    found = {
        "vocabulary": vocabulary,
        "merges": [line for line in lines if line],
        "pattern": pattern,
        "normalize_nfc": pattern == "qwen2",
        "add_bos_and_eos": class_name == _ENCODER_CLASS,
        "unknown_token": None,
        **{"special_tokens": [], "lstrip": [], "rstrip": [], "added_tokens": []},
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
