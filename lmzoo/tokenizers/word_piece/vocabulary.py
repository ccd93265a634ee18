"""A WordPiece vocabulary that is checked, and what its tokens mean inside a word."""

import dataclasses

from lmzoo.tokenizers.vocabulary import (
    check_added_tokens,
    check_membership,
    check_special_tokens,
    check_total_size,
    order_tokens,
)

__all__ = ["WordPieceVocabulary"]

# The trie of the tokens takes some hundred bytes for each character.
_MAX_CHARACTERS = 1 << 23


@dataclasses.dataclass(frozen=True)
class WordPieceVocabulary:
    """Tokens and special tokens that fit together.

    Attributes:
        ids: dict of str to int. Every token with its id, 0 to V - 1.
        tokens: tuple of str, by id.
        special_tokens: tuple of str.
        added_tokens: tuple of AddedToken.
        prefix: str. The continuing-subword prefix.
        initial_tokens: dict of str to int. The tokens of the model: those a word may begin with.
        continuing_tokens: dict of str to int. Those of them that begin with the prefix, without it.
    """

    ids: dict
    tokens: tuple
    special_tokens: tuple
    added_tokens: tuple
    prefix: str
    initial_tokens: dict
    continuing_tokens: dict

    @classmethod
    def build(cls, vocabulary, special_tokens, prefix, added_tokens=()):
        """Checks the parts.

        Args:
            vocabulary: list of str by id, or dict of str to int.
            special_tokens: iterable of str.
            prefix: str.
            added_tokens: iterable of AddedToken or str.
        Returns:
            WordPieceVocabulary.
        Raises:
            TypeError, ValueError: if a part has the wrong type, or they do not fit together.
        """
        ids = _read_ids(vocabulary)
        special_tokens = check_special_tokens(special_tokens)
        added_tokens = check_added_tokens(added_tokens, special_tokens)
        if not isinstance(prefix, str) or not prefix:
            raise ValueError(f"`prefix` must be a str that is not empty. Received: {prefix!r:.80}.")
        tokens = order_tokens(ids)
        _check_tokens(tokens)
        check_membership(special_tokens, ids)
        check_membership([token.content for token in added_tokens], ids, "added_tokens")
        outside = {token.content for token in added_tokens if not token.in_model}
        outside.update(special_tokens)
        initial = {token: index for index, token in enumerate(tokens) if token not in outside}
        size = len(prefix)
        continuing = {
            token[size:]: index
            for token, index in initial.items()
            if token.startswith(prefix) and len(token) > size
        }
        return cls(ids, tokens, special_tokens, added_tokens, prefix, initial, continuing)


def _read_ids(vocabulary):
    if isinstance(vocabulary, dict):
        return dict(vocabulary)
    if not isinstance(vocabulary, list | tuple):
        raise TypeError(
            "`vocabulary` must be a list of str or a dict of str to int. "
            f"Received: {vocabulary!r:.80}."
        )
    ids = {}
    for index, token in enumerate(vocabulary):
        if not isinstance(token, str):
            raise TypeError(f"`vocabulary` must hold str. Received: {token!r:.80} at {index}.")
        if ids.setdefault(token, index) != index:
            raise ValueError(
                f"`vocabulary` must hold a token once. Received: {token!r:.80} at {ids[token]} and "
                f"at {index}."
            )
    return ids


def _check_tokens(tokens):
    for index, token in enumerate(tokens):
        # A lone surrogate is not text, and a token is a line of `vocab.txt`.
        if not token or any(c in "\r\n" or "\ud800" <= c <= "\udfff" for c in token):
            raise ValueError(
                "`vocabulary` must hold text that is not empty and has no line break. "
                f"Received: {token!r:.80} at {index}."
            )
    check_total_size("vocabulary", tokens, _MAX_CHARACTERS)
