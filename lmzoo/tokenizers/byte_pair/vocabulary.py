"""The byte-level alphabet, and a byte-pair vocabulary that is checked."""

import dataclasses

from lmzoo.tokenizers.vocabulary import (
    check_added_tokens,
    check_membership,
    check_special_tokens,
    order_tokens,
)

__all__ = ["BYTE_CHARACTERS", "BytePairVocabulary", "bytes_to_token", "token_to_bytes"]


def _make_alphabet():
    # Printable Latin-1 stands for itself; the other 68 bytes take the characters from U+0100 on.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_CHARACTERS = _make_alphabet()
_CHARACTER_BYTES = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


def bytes_to_token(data):
    """Writes bytes in the byte-level alphabet.

    Args:
        data: bytes.
    Returns:
        str with one character per byte.
    Example:
    >>> bytes_to_token(b" a")
    'Ġa'
    """
    return "".join(BYTE_CHARACTERS[byte] for byte in data)


def token_to_bytes(token):
    """Reads a token that is written in the byte-level alphabet.

    Args:
        token: str.
    Returns:
        bytes, or None if a character of `token` is not in the alphabet.
    Example:
    >>> token_to_bytes("Ġa")
    b' a'
    """
    try:
        return bytes(_CHARACTER_BYTES[character] for character in token)
    except KeyError:
        return None


@dataclasses.dataclass(frozen=True)
class BytePairVocabulary:
    """Tokens, merges and special tokens that fit together.

    Attributes:
        ids: dict of str to int. Every token with its id, 0 to V - 1.
        merges: tuple of (str, str), first to last.
        special_tokens: tuple of str.
        added_tokens: tuple of AddedToken.
        tokens: tuple of str, by id.
        pieces: tuple of bytes, by id. The bytes of a token that the model makes; None for a special
            token, and for an added one that no merge makes.
        rules: tuple of (left id, right id, made id). The merges as ids.
    """

    ids: dict
    merges: tuple
    special_tokens: tuple
    added_tokens: tuple
    tokens: tuple
    pieces: tuple
    rules: tuple

    @classmethod
    def build(cls, vocabulary, merges, special_tokens, added_tokens=()):
        """Checks the parts.

        Args:
            vocabulary: dict of str to int. Tokens in the byte-level alphabet, special tokens, and
                added ones.
            merges: iterable of "left right" strings or (left, right) pairs.
            special_tokens: iterable of str.
            added_tokens: iterable of AddedToken or str.
        Returns:
            BytePairVocabulary.
        Raises:
            TypeError: if a part has the wrong type.
            ValueError: if the parts do not fit together.
        """
        ids = dict(vocabulary)
        special_tokens = check_special_tokens(special_tokens)
        added_tokens = check_added_tokens(added_tokens, special_tokens)
        contents = [token.content for token in added_tokens]
        check_membership(special_tokens, ids)
        check_membership(contents, ids, "added_tokens")
        tokens = order_tokens(ids)
        pairs = _check_merges(merges)
        made = {left + right for left, right in pairs}
        found = {token for token in contents if token not in made and len(token) > 1}
        found |= {token for token in contents if token_to_bytes(token) is None}
        outside = found.union(special_tokens)
        pieces = _read_pieces(tokens, outside)
        rules = _resolve_rules(pairs, ids, outside)
        return cls(ids, pairs, special_tokens, added_tokens, tokens, pieces, rules)


def _read_pieces(tokens, outside):
    pieces = tuple(None if token in outside else token_to_bytes(token) for token in tokens)
    for token, piece in zip(tokens, pieces, strict=True):
        if not piece and token not in outside:
            raise ValueError(
                "`vocabulary` must hold tokens in the byte-level alphabet. "
                f"Received: {token!r:.80}. Name it in `special_tokens` if it is one."
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


def _resolve_rules(pairs, ids, outside):
    rules = []
    for left, right in pairs:
        for token in (left, right, left + right):
            if token not in ids or token in outside:
                raise ValueError(
                    "`merges` must make ordinary tokens of `vocabulary` from such tokens. "
                    f"Received: {left!r:.80} with {right!r:.80}, but {token!r:.80} is not one."
                )
        rules.append((ids[left], ids[right], ids[left + right]))
    return tuple(rules)
