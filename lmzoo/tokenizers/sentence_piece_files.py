"""A SentencePiece tokenizer as Hugging Face files, both ways."""

import dataclasses
import pathlib

from lmzoo.json_files import read_bytes, read_json, write_bytes, write_json
from lmzoo.tokenizers.sentence_piece_fast_form import can_be_fast, make_fast_form, read_fast_form
from lmzoo.tokenizers.sentence_piece_model import MAX_BYTES, PieceType, SentencePieceModel
from lmzoo.tokenizers.sentence_piece_pair_form import can_be_pairs, make_pair_form, read_pair_form
from lmzoo.tokenizers.start_templates import read_add_start, read_start
from lmzoo.tokenizers.token_files import FileCheck, describe_special, get_content, read_named

__all__ = ["ROLES", "check_added_tokens", "read_sentence_piece_files", "write_sentence_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and T5's own.
ROLES = {
    "unknown_token": ("unk_token", "<unk>"),
    "start_token": ("bos_token", None),
    "end_token": ("eos_token", "</s>"),
    "pad_token": ("pad_token", "<pad>"),
}
# The same where the file is called as Llama's and Mistral's.
_LLAMA_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": None}
_KIND = "the SentencePiece of T5 or Llama"
# What transformers adds where the files do not say it.
_NUM_SENTINELS = 100


def write_sentence_piece_files(folder, tokenizer, vocabulary):
    """Writes the model, the two small files and, where it says the same, `tokenizer.json`.

    The model is called `tokenizer.model` where it has Llama 2's form, else `spiece.model`.

    Args:
        folder: str or path. Made if it is not there.
        tokenizer: SentencePieceTokenizer.
        vocabulary: SentencePieceVocabulary. Its own.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    roles = {theirs: getattr(tokenizer, role) for role, (theirs, _) in ROLES.items()}
    named = {theirs: token for theirs, token in roles.items() if token is not None}
    added = {vocabulary.ids[token]: describe_special(token) for token in vocabulary.special_tokens}
    behind = [] if vocabulary.has_sentinels else list(vocabulary.sentinel_ids)
    own = {vocabulary.tokens[index] for index in vocabulary.own_special_ids()}
    more = [vocabulary.tokens[index] for index in behind]
    more += [token for token in vocabulary.special_tokens if token not in {*own, *more}]
    pairs = can_be_pairs(vocabulary)
    write_bytes(folder / ("tokenizer.model" if pairs else "spiece.model"), vocabulary.data)
    write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": more})
    add_start = tokenizer.add_start_token
    write_json(
        folder / "tokenizer_config.json",
        {
            **(_name_llama(add_start) if pairs else _name_t5(add_start, len(behind))),
            "clean_up_tokenization_spaces": False,
            # A role that nothing plays is named too, or its default would be added.
            **roles,
            "additional_special_tokens": more,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    added = [{"id": index, **token} for index, token in added.items()]
    if pairs:
        start = tokenizer.id_to_token(tokenizer.start_token_id) if add_start else None
        write_json(folder / "tokenizer.json", make_pair_form(vocabulary, added, start))
    elif can_be_fast(vocabulary):
        form = make_fast_form(vocabulary, added, tokenizer.end_token)
        write_json(folder / "tokenizer.json", form)


def _name_t5(add_start, num_sentinels):
    named = {"tokenizer_class": "T5Tokenizer", "extra_ids": num_sentinels}
    return {**named, "add_bos_token": True} if add_start else named


def _name_llama(add_start):
    # LlamaTokenizer of transformers 5 would put no space before a text that begins with one.
    return {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": add_start}


def read_sentence_piece_files(folder):
    """Reads `spiece.model`, or `tokenizer.model`, or `tokenizer.json` if there is neither.

    Args:
        folder: str or path.
    Returns:
        dict of the arguments of `SentencePieceTokenizer`.
    Raises:
        FileNotFoundError: if neither is there.
        ValueError: if a file is too large, broken, or describes another kind of tokenizer.
    """
    folder = pathlib.Path(folder)
    named = read_named(folder)
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    more = named.get("additional_special_tokens") or []
    if not isinstance(more, list):
        check.refuse("additional_special_tokens", more, "a list")
    more = [token for token in map(get_content, more) if token is not None]
    sentinels = [token for token in more if token.startswith("<extra_id_")]
    if (folder / "spiece.model").is_file():
        found = {
            "model": read_bytes(folder / "spiece.model", MAX_BYTES),
            "num_sentinels": len(sentinels) or _NUM_SENTINELS,
        }
    elif (folder / "tokenizer.model").is_file():
        found = _read_llama(folder)
    elif (folder / "tokenizer.json").is_file():
        found = _read_json_alone(folder / "tokenizer.json")
    else:
        raise FileNotFoundError(
            "`folder` must hold spiece.model, tokenizer.model or tokenizer.json. "
            f"Received: {str(folder)!r}."
        )
    if "start" in found:
        named = {**_LLAMA_ROLES, **named}
    elif "extra_ids" in named:
        found["num_sentinels"] = named["extra_ids"]
    start, add_start = read_add_start(check, named, found.pop("start", None))
    found["special_tokens"] = [token for token in more if token not in sentinels]
    roles = {
        role: get_content(named.get(theirs, default)) for role, (theirs, default) in ROLES.items()
    }
    return {**found, **roles, "start_token": start, "add_start_token": add_start}


def _read_llama(folder):
    """The model that Llama's folders have; without a `tokenizer.json` prompts have a start."""
    named, path = read_named(folder), folder / "tokenizer.json"
    model = read_bytes(folder / "tokenizer.model", MAX_BYTES)
    found = {"model": _add_tokens(model, named.get("added_tokens_decoder")), "num_sentinels": 0}
    if not path.is_file():
        return {**found, "start": get_content(named.get("bos_token")) or "<s>"}
    finish = read_json(path).get("post_processor")
    return {**found, "start": read_start(FileCheck(path, _KIND), finish)}


def _add_tokens(data, described):
    """The model with the tokens behind its pieces, such as a later `<pad>`, as control pieces."""
    if not isinstance(described, dict):
        return data
    try:
        model = SentencePieceModel.parse(data)
    except ValueError:
        # Whoever opens it says what is wrong with it.
        return data
    size = len(model.pieces)
    more = []
    while token := get_content(described.get(str(size + len(more)))):
        more.append(token)
    if not more:
        return data
    return dataclasses.replace(
        model,
        pieces=(*model.pieces, *more),
        scores=(*model.scores, *[0.0] * len(more)),
        types=(*model.types, *[PieceType.CONTROL] * len(more)),
    ).serialize()


def _read_json_alone(path):
    model = read_json(path).get("model")
    is_pairs = isinstance(model, dict) and model.get("type", "BPE") == "BPE"
    return (read_pair_form if is_pairs else read_fast_form)(path, _KIND)


def check_added_tokens(folder, ids):
    """Refuses a folder whose `tokenizer_config.json` numbers tokens in another way.

    Args:
        folder: str or path.
        ids: dict of str to int. The vocabulary.
    Raises:
        ValueError: if a token has another id.
    """
    folder = pathlib.Path(folder)
    described = read_named(folder).get("added_tokens_decoder") or {}
    check = FileCheck(folder / "tokenizer_config.json", _KIND)
    check.expect_section("added_tokens_decoder", described)
    for index, token in described.items():
        content = get_content(token) or ""
        # mT5's sentinels have a space before them.
        known = ids.get(content, ids.get(content.removeprefix("\u2581")))
        if str(known) != index:
            check.refuse("added_tokens_decoder", {index: content}, "the tokens' own ids")
