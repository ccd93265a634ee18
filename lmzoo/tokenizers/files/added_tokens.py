"""The added tokens that Hugging Face files name beside a SentencePiece model."""

from lmzoo.runtime.sentence_piece_file.model import PieceType
from lmzoo.tokenizers.files.common import FileCheck, get_content, read_added_token, read_more_added
from lmzoo.tokenizers.sentence_piece.vocabulary import MAX_SENTINELS

__all__ = ["find_added_special", "list_added_tokens", "read_added_tokens"]

_ROLES = ("unk_token", "bos_token", "eos_token", "pad_token", "cls_token", "sep_token")
_ROLES += ("mask_token",)
_SPACE = "\u2581"


def list_added_tokens(folder, named, tokenizer_json, kind):
    """Lists what all files of a folder add.

    Args:
        folder: pathlib.Path.
        named: dict, as `read_named` gives it.
        tokenizer_json: dict. What `tokenizer.json` holds; empty if there is none.
        kind: str. The tokenizer that is expected.
    Returns:
        list of (FileCheck, dict). Each token has a str as `content`, an int as `id`, and `special`.
    Raises:
        ValueError: if a file is too large or broken.
    """
    roles = dict.fromkeys(_ROLES)
    playing = {get_content(named.get(theirs)) for theirs in roles}
    sources = read_more_added(folder, named, kind, roles)
    path, own = folder / "tokenizer.json", tokenizer_json.get("added_tokens") or []
    json_check = FileCheck(path, kind)
    if not isinstance(own, list):
        json_check.refuse("added_tokens", own, "a list")
    found = []
    for check, tokens in [*sources, (json_check, own)]:
        for token in tokens:
            content = get_content(token) if isinstance(token, dict) else None
            if content is None or type(token.get("id")) is not int:
                check.refuse("added_tokens", token, "objects with a `content` and an `id`")
            is_special = content in playing or token.get("special") is True
            found.append((check, {**token, "special": is_special}))
    return found


def find_added_special(added):
    """Names the special tokens of `list_added_tokens` that are not sentinels.

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


def read_added_tokens(added, model, num_sentinels):
    """Places the tokens of `list_added_tokens` among and behind those of a model.

    Args:
        added: list of (FileCheck, dict).
        model: SentencePieceModel.
        num_sentinels: int. How many sentinels stand behind its pieces.
    Returns:
        dict with the arguments `added_tokens`, `extra_tokens`, `lstrip` and `rstrip` of
        `SentencePieceTokenizer`.
    Raises:
        ValueError: if one has another id than it would have, or an option that is not read.
    """
    tokens = [
        piece.removeprefix(_SPACE) if _is_sentinel(piece) else piece for piece in model.pieces
    ]
    # Another number is refused by the tokenizer.
    is_number = type(num_sentinels) is int and num_sentinels <= MAX_SENTINELS
    if is_number and not any(map(_is_sentinel, tokens)):
        tokens += [f"<extra_id_{index}>" for index in range(num_sentinels - 1, -1, -1)]
    first = len(tokens)
    by_id = {token["id"]: token["content"] for _, token in added}
    while len(tokens) in by_id:
        tokens.append(by_id[len(tokens)])
    found, strips = {}, {"lstrip": {}, "rstrip": {}}
    for check, token in added:
        content, index = token["content"], token["id"]
        # mT5's sentinels have a space before them.
        name = content.removeprefix(_SPACE) if _is_sentinel(content) else content
        if not 0 <= index < len(tokens) or tokens[index] != name:
            check.refuse("added_tokens", {str(index): content}, "the tokens' own ids")
        check.expect(
            f"added_tokens.single_word of {content!r:.60}", token.get("single_word"), (None, False)
        )
        for option, stripping in strips.items():
            option_name = f"added_tokens.{option} of {content!r:.60}"
            check.expect(option_name, token.get(option), (None, False, True))
            if token["special"] and not _is_sentinel(name) and token.get(option):
                stripping[content] = None
        if token["special"] or _is_sentinel(name):
            continue
        # A piece that text with it always has needs no search.
        is_found = index < len(model.types) and model.types[index] is PieceType.USER_DEFINED
        if is_found and not any(map(token.get, strips)):
            continue
        normalized = token.get("normalized", True)
        check.expect(f"added_tokens.normalized of {content!r:.60}", normalized, (False, True))
        found[content] = read_added_token(token, in_model=index < len(model.pieces))
    return {
        "added_tokens": tuple(found.values()),
        "extra_tokens": tuple(tokens[first:]),
        **{option: tuple(stripping) for option, stripping in strips.items()},
    }


def _is_sentinel(content):
    return content.removeprefix(_SPACE).startswith("<extra_id_")
