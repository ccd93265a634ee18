"""A byte-pair vocabulary that is checked: it encodes any text, and decodes to it again."""

import dataclasses

from lmzoo.tokenizers.byte_level import BYTE_CHARACTERS, token_to_bytes

__all__ = ["BytePairVocabulary", "check_special_tokens"]

_MAX_TOKENS = 1_000_000
# They become one pattern; beyond this RE2 runs out of the memory it allows itself.
_MAX_SPECIAL_CHARACTERS = 1 << 16


@dataclasses.dataclass(frozen=True)
class BytePairVocabulary:
    """Tokens, merges and special tokens that fit together.

    Attributes:
        ids: dict of str to int. Every token with its id, 0 to V - 1.
        merges: tuple of (str, str), first to last.
        special_tokens: tuple of str.
        tokens: tuple of str, by id.
        pieces: tuple of bytes, by id. What a token stands for; None for a special token.
        rules: tuple of (left id, right id, made id). The merges as ids.
    """

    ids: dict
    merges: tuple
    special_tokens: tuple
    tokens: tuple
    pieces: tuple
    rules: tuple

    @classmethod
    def build(cls, vocabulary, merges, special_tokens):
        """Checks the parts.

        Args:
            vocabulary: dict of str to int. Tokens in the byte-level alphabet, and special ones.
            merges: iterable of "left right" strings or (left, right) pairs.
            special_tokens: iterable of str.
        Returns:
            BytePairVocabulary.
        Raises:
            TypeError: if a part has the wrong type.
            ValueError: if the parts do not fit together.
        """
        ids = dict(vocabulary)
        special_tokens = check_special_tokens(special_tokens)
        _check_membership(special_tokens, ids)
        tokens = _order_tokens(ids)
        pieces = _read_pieces(tokens, set(special_tokens))
        pairs = _check_merges(merges)
        rules = _resolve_rules(pairs, ids, set(special_tokens))
        return cls(ids, pairs, special_tokens, tokens, pieces, rules)


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


def _check_membership(special_tokens, ids):
    for token in special_tokens:
        if token not in ids:
            raise ValueError(
                f"`special_tokens` must be in `vocabulary`. Received: {token!r:.80}, "
                "which is not. Pass `special_tokens` (and `end_token`) as they are there."
            )


def _order_tokens(ids):
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


def _read_pieces(tokens, special_tokens):
    pieces = tuple(None if token in special_tokens else token_to_bytes(token) for token in tokens)
    for token, piece in zip(tokens, pieces, strict=True):
        if not piece and token not in special_tokens:
            raise ValueError(
                "`vocabulary` must hold tokens in the byte-level alphabet. "
                f"Received: {token!r:.80}. Name it in `special_tokens` if it is one."
            )
    ordinary = set(tokens) - special_tokens
    for character in BYTE_CHARACTERS:
        if character not in ordinary:
            raise ValueError(
                "`vocabulary` must hold each of the 256 bytes as an ordinary token. "
                f"Received: {len(tokens)} tokens without {character!r}."
            )
    return pieces


def _check_merges(merges):
    pairs = {}
    for merge in merges:
        if not isinstance(merge, str | list | tuple):
            raise TypeError(f"`merges` must hold pairs of tokens. Received: {merge!r:.80}.")
        pair = tuple(merge.split(" ") if isinstance(merge, str) else merge)
        if len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
            raise ValueError(
                '`merges` must hold pairs of tokens or "left right" strings. '
                f"Received: {merge!r:.80}."
            )
        if pair in pairs:
            raise ValueError(f"`merges` must hold a pair once. Received twice: {merge!r:.80}.")
        pairs[pair] = None
    return tuple(pairs)


def _resolve_rules(pairs, ids, special_tokens):
    rules = []
    for left, right in pairs:
        for token in (left, right, left + right):
            if token not in ids or token in special_tokens:
                raise ValueError(
                    "`merges` must make ordinary tokens of `vocabulary` from such tokens. "
                    f"Received: {left!r:.80} with {right!r:.80}, but {token!r:.80} is not one."
                )
        rules.append((ids[left], ids[right], ids[left + right]))
    return tuple(rules)


def _is_plain(token):
    # A lone surrogate is not text; the finder of special tokens uses control characters as marks.
    return not any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in token)
