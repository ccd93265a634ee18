"""Added tokens, and the checks that every vocabulary passes."""

import dataclasses

__all__ = [
    "AddedToken",
    "check_added_tokens",
    "check_membership",
    "check_special_tokens",
    "check_total_size",
    "order_tokens",
]

_MAX_TOKENS = 1_000_000
# They become one pattern; beyond this RE2 runs out of the memory it allows itself.
_MAX_SPECIAL_CHARACTERS = 1 << 16
_MAX_TOKEN_CHARACTERS = 1 << 12


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A non-special added token, as `add_tokens` of transformers makes it.

    It is found in text before the tokenizer's model sees the text, whatever stands beside it. It is
    ordinary text: it needs no `allow_special`, and it stays when special tokens are skipped.

    Args:
        content: str. The text of the token.
        normalized: bool. If True, the normalized token is searched in the normalized text, so that
            "Covid" is found as "covid" where text is lowercased; if False, the token as it is is
            searched in the text as it is.
        in_model: bool. If True, the tokenizer's model has this token too and may make it from text
            in which it was not found.
        lstrip, rstrip: bool. If True, it matches the white space before it, or behind it, too.
    """

    content: str
    normalized: bool = True
    in_model: bool = False
    lstrip: bool = False
    rstrip: bool = False


def check_added_tokens(added_tokens, special_tokens):
    """Refuses non-special added tokens that could not be found in text.

    Args:
        added_tokens: iterable of AddedToken or str.
        special_tokens: tuple of str.
    Returns:
        tuple of AddedToken, each content once.
    Raises:
        TypeError: if `added_tokens` is a str, or one of them is neither.
        ValueError: if one is special too, or as for `check_special_tokens`.
    """
    if isinstance(added_tokens, str):
        raise TypeError(
            f"`added_tokens` must be a list. Received: {added_tokens!r}. Write [{added_tokens!r}]."
        )
    found = {}
    for token in added_tokens:
        token = AddedToken(token) if isinstance(token, str) else token
        if not isinstance(token, AddedToken):
            raise TypeError(f"`added_tokens` must hold AddedToken or str. Received: {token!r:.80}.")
        if token.content in special_tokens:
            raise ValueError(
                "`added_tokens` must not be in `special_tokens`. "
                f"Received: {token.content!r:.80}, which is in both."
            )
        found.setdefault(token.content, token)
    _check_searchable("added_tokens", found)
    return tuple(found.values())


def check_special_tokens(special_tokens):
    """Refuses special tokens that could not be found in text.

    Args:
        special_tokens: iterable of str.
    Returns:
        tuple of str, each once.
    Raises:
        TypeError: if `special_tokens` is a str, or one of them is not.
        ValueError: if one is empty, has U+0000 to U+0002, or is no Unicode text; or if all
            together are too long.
    """
    if isinstance(special_tokens, str):
        raise TypeError(
            f"`special_tokens` must be a list of str. Received: {special_tokens!r}. "
            f"Write [{special_tokens!r}]."
        )
    special_tokens = tuple(dict.fromkeys(special_tokens))
    _check_searchable("special_tokens", special_tokens)
    return special_tokens


def _check_searchable(argument, tokens):
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(f"`{argument}` must hold str. Received: {token!r:.80}.")
        # A lone surrogate is not text; SpecialTokenFinder uses the three characters as marks.
        if not token or any(c < "\x03" or "\ud800" <= c <= "\udfff" for c in token):
            raise ValueError(
                f"`{argument}` must be text without U+0000, U+0001 and U+0002. "
                f"Received: {token!r:.80}."
            )
    longest = max(tokens, key=len, default="")
    if len(longest) > _MAX_TOKEN_CHARACTERS:
        raise ValueError(
            f"`{argument}` must have at most {_MAX_TOKEN_CHARACTERS} characters each. "
            f"Received: {longest!r:.80} with {len(longest)}."
        )
    check_total_size(argument, tokens, _MAX_SPECIAL_CHARACTERS)


def check_total_size(argument, tokens, most):
    """Refuses tokens that have more than `most` characters in all."""
    size = sum(map(len, tokens))
    if size > most:
        raise ValueError(
            f"`{argument}` must have at most {most} characters in all. Received: {size} in "
            f"{len(tokens)} tokens."
        )


def check_membership(tokens, ids, argument="special_tokens"):
    """Refuses special tokens that the vocabulary does not have.

    Args:
        tokens: iterable of str.
        ids: dict of str to int.
        argument: str. The name of the argument that they were given as.
    Raises:
        ValueError: if one is not in `ids`.
    """
    for token in tokens:
        if token not in ids:
            raise ValueError(
                f"`{argument}` must be in `vocabulary`. Received: {token!r:.80}, "
                f"which is not. Pass `{argument}` (and `end_token`) as they are there."
            )


def order_tokens(ids):
    """Puts the tokens in the order of their ids.

    Args:
        ids: dict of str to int.
    Returns:
        tuple of str.
    Raises:
        TypeError: if a token is no str, or an id no int.
        ValueError: if there are none, too many, or the ids are not 0 to V - 1.
    """
    if not 0 < len(ids) <= _MAX_TOKENS:
        raise ValueError(
            f"`vocabulary` must have 1 to {_MAX_TOKENS} tokens. Received: {len(ids)} tokens."
        )
    tokens = [None] * len(ids)
    for token, index in ids.items():
        if not isinstance(token, str) or type(index) is not int:
            raise TypeError(
                f"`vocabulary` must map str to int. Received: {token!r:.80} with {index!r:.80}."
            )
        if not 0 <= index < len(tokens) or tokens[index] is not None:
            raise ValueError(
                "`vocabulary` must use each id from 0 to its size - 1 once. "
                f"Received: {token!r:.80} with id {index} among {len(tokens)} tokens."
            )
        tokens[index] = token
    return tuple(tokens)
