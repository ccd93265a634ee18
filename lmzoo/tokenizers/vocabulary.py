"""The checks every vocabulary passes, of whichever kind its tokens are."""

__all__ = ["check_membership", "check_special_tokens", "order_tokens"]

_MAX_TOKENS = 1_000_000
# They become one pattern; beyond this RE2 runs out of the memory it allows itself.
_MAX_SPECIAL_CHARACTERS = 1 << 16


def check_special_tokens(special_tokens):
    """Refuses special tokens that could not be found in text.

    Args:
        special_tokens: iterable of str.
    Returns:
        tuple of str, each once.
    Raises:
        TypeError: if `special_tokens` is a str, or one of them is not.
        ValueError: if one is empty, has a control character, or is no Unicode text; or if all
            together are too long.
    """
    if isinstance(special_tokens, str):
        raise TypeError(
            f"`special_tokens` must be a list of str. Received: {special_tokens!r}. "
            f"Write [{special_tokens!r}]."
        )
    special_tokens = tuple(dict.fromkeys(special_tokens))
    for token in special_tokens:
        if not isinstance(token, str):
            raise TypeError(f"`special_tokens` must hold str. Received: {token!r:.80}.")
        if not token or not _is_plain(token):
            raise ValueError(
                "`special_tokens` must be text without control characters. "
                f"Received: {token!r:.80}."
            )
    size = sum(map(len, special_tokens))
    if size > _MAX_SPECIAL_CHARACTERS:
        raise ValueError(
            f"`special_tokens` must have at most {_MAX_SPECIAL_CHARACTERS} characters in all. "
            f"Received: {size} in {len(special_tokens)} tokens."
        )
    return special_tokens


def check_membership(special_tokens, ids):
    """Refuses special tokens that the vocabulary does not have.

    Args:
        special_tokens: iterable of str.
        ids: dict of str to int.
    Raises:
        ValueError: if one is not in `ids`.
    """
    for token in special_tokens:
        if token not in ids:
            raise ValueError(
                f"`special_tokens` must be in `vocabulary`. Received: {token!r:.80}, "
                "which is not. Pass `special_tokens` (and `end_token`) as they are there."
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


def _is_plain(token):
    # A lone surrogate is not text; the finder of special tokens uses control characters as marks.
    return not any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in token)
