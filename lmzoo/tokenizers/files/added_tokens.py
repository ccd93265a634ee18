"""The added tokens that Hugging Face files name beside a SentencePiece model."""

import dataclasses

from lmzoo.tokenizers.files.common import FileCheck, get_content, read_more_added
from lmzoo.tokenizers.sentence_piece.model import PieceType, SentencePieceModel

__all__ = ["add_control_pieces", "check_added_tokens", "find_added_special", "list_added_tokens"]

_ROLES = ("unk_token", "bos_token", "eos_token", "pad_token", "cls_token", "sep_token")
_ROLES += ("mask_token",)
_SPACE = "\u2581"


def list_added_tokens(folder, named, form, kind):
    """Lists what all files of a folder add.

    Args:
        folder: pathlib.Path.
        named: dict, as `read_named` gives it.
        form: dict. What `tokenizer.json` holds; empty if there is none.
        kind: str. The tokenizer that is expected.
    Returns:
        list of (FileCheck, dict). Each token has a str as `content`, an int as `id`, and `special`.
    Raises:
        ValueError: if a file is too large or broken.
    """
    roles = dict.fromkeys(_ROLES)
    playing = {get_content(named.get(theirs)) for theirs in roles}
    sources = read_more_added(folder, named, kind, roles)
    fast, own = FileCheck(folder / "tokenizer.json", kind), form.get("added_tokens") or []
    if not isinstance(own, list):
        fast.refuse("added_tokens", own, "a list")
    found = []
    for check, tokens in [*sources, (fast, own)]:
        for token in tokens:
            content = get_content(token) if isinstance(token, dict) else None
            if content is None or type(token.get("id")) is not int:
                check.refuse("added_tokens", token, "objects with a `content` and an `id`")
            is_special = content in playing or token.get("special") is True
            found.append((check, {**token, "special": is_special}))
    return found


def find_added_special(added):
    """Names the special tokens of `list_added_tokens` that are no sentinels.

    Args:
        added: list of (FileCheck, dict).
    Returns:
        dict of int to str. By id.
    """
    return {
        token["id"]: token["content"]
        for _, token in added
        if token["special"] and not token["content"].lstrip(_SPACE).startswith("<extra_id_")
    }


def add_control_pieces(data, special):
    """Puts the tokens behind the pieces of a model, such as a later `<pad>`, into it.

    Args:
        data: bytes. The model file.
        special: dict of int to str.
    Returns:
        bytes. With those tokens as control pieces; as it is where it is broken.
    """
    if not special:
        return data
    try:
        model = SentencePieceModel.parse(data)
    except ValueError:
        # Whoever opens it says what is wrong with it.
        return data
    size = len(model.pieces)
    more = []
    while token := special.get(size + len(more)):
        more.append(token)
    if not more:
        return data
    return dataclasses.replace(
        model,
        pieces=(*model.pieces, *more),
        scores=(*model.scores, *[0.0] * len(more)),
        types=(*model.types, *[PieceType.CONTROL] * len(more)),
    ).serialize()


def check_added_tokens(added, vocabulary):
    """Refuses tokens that text would not have as the files say it.

    Args:
        added: list of (FileCheck, dict), as `list_added_tokens` gives it.
        vocabulary: SentencePieceVocabulary.
    Raises:
        ValueError: if one has another id; or if it is not special, and no piece that a text with it
            always has.
    """
    special = set(vocabulary.special_tokens)
    for check, token in added:
        content, index = token["content"], token["id"]
        # mT5's sentinels have a space before them.
        name = content if content in vocabulary.ids else content.removeprefix(_SPACE)
        if vocabulary.ids.get(name) != index:
            check.refuse("added_tokens", {str(index): content}, "the tokens' own ids")
        is_piece = index < len(vocabulary.model.types)
        is_whole = is_piece and vocabulary.model.types[index] is PieceType.USER_DEFINED
        if name not in special and not is_whole:
            check.refuse(f"added_tokens.special of {content!r:.60}", False, "True")
