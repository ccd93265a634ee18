"""A SentencePiece tokenizer as Hugging Face files, both ways."""

import pathlib

from lmzoo.json_files import read_bytes, write_bytes, write_json
from lmzoo.tokenizers.sentence_piece_fast_form import can_be_fast, make_fast_form, read_fast_form
from lmzoo.tokenizers.sentence_piece_model import MAX_BYTES
from lmzoo.tokenizers.token_files import FileCheck, describe_special, get_content, read_named

__all__ = ["ROLES", "check_added_tokens", "read_sentence_piece_files", "write_sentence_piece_files"]

# What lmzoo and Hugging Face call the tokens a model asks for by role, and T5's own.
ROLES = {
    "unknown_token": ("unk_token", "<unk>"),
    "start_token": ("bos_token", None),
    "end_token": ("eos_token", "</s>"),
    "pad_token": ("pad_token", "<pad>"),
}
_KIND = "the SentencePiece of T5"
# What transformers adds where the files do not say it.
_NUM_SENTINELS = 100


def write_sentence_piece_files(folder, tokenizer, vocabulary):
    """Writes `spiece.model`, the two small files and, where it says the same, `tokenizer.json`.

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
    write_bytes(folder / "spiece.model", vocabulary.data)
    write_json(folder / "special_tokens_map.json", {**named, "additional_special_tokens": more})
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "T5Tokenizer",
            "extra_ids": len(behind),
            "clean_up_tokenization_spaces": False,
            # A role that nothing plays is named too, or its default would be added.
            **roles,
            "additional_special_tokens": more,
            "added_tokens_decoder": {str(index): token for index, token in added.items()},
        },
    )
    if can_be_fast(vocabulary):
        added = [{"id": index, **token} for index, token in added.items()]
        form = make_fast_form(vocabulary, added, tokenizer.end_token)
        write_json(folder / "tokenizer.json", form)


def read_sentence_piece_files(folder):
    """Reads `spiece.model`, or `tokenizer.json` if there is none.

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
    elif (folder / "tokenizer.json").is_file():
        found = read_fast_form(folder / "tokenizer.json", _KIND)
    else:
        raise FileNotFoundError(
            f"`folder` must hold spiece.model or tokenizer.json. Received: {str(folder)!r}."
        )
    if "extra_ids" in named:
        found["num_sentinels"] = named["extra_ids"]
    found["special_tokens"] = [token for token in more if token not in sentinels]
    roles = {
        role: get_content(named.get(theirs, default)) for role, (theirs, default) in ROLES.items()
    }
    return {**found, **roles}


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
