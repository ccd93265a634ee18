"""The tokens of a SentencePiece model, and the sentinels of T5 among them or behind them."""

import dataclasses
import re

from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.tokenizers.vocabulary import (
    check_added_tokens,
    check_membership,
    check_special_tokens,
    order_tokens,
)

__all__ = ["MAX_SENTINELS", "SentencePieceVocabulary", "check_no_sentinels"]

# T5 has 100. They become one pattern, so that a file must not ask for millions.
MAX_SENTINELS = 10_000
_SENTINEL = re.compile("\u2581?(<extra_id_(0|[1-9][0-9]{0,5})>)")


@dataclasses.dataclass(frozen=True)
class SentencePieceVocabulary:
    """A model, and sentinels and special tokens that fit to it.

    Attributes:
        data: bytes. The model file.
        model: SentencePieceModel. What it says.
        ids: dict of str to int. Every token with its id, 0 to V - 1.
        tokens: tuple of str, by id. The pieces, then the sentinels that are not among them, then
            the extra tokens.
        special_tokens: tuple of str.
        added_tokens: tuple of AddedToken.
        sentinel_ids: tuple of int. That of `<extra_id_0>`, `<extra_id_1>` and so on.
        has_sentinels: bool. If True, the sentinels are pieces of the model, as in mT5.
    """

    data: bytes
    model: SentencePieceModel
    ids: dict
    tokens: tuple
    special_tokens: tuple
    added_tokens: tuple
    sentinel_ids: tuple
    has_sentinels: bool

    @classmethod
    def build(cls, data, num_sentinels, special_tokens, added_tokens=(), extra_tokens=()):
        """Checks the parts.

        Args:
            data: bytes. The model file.
            num_sentinels: int.
            special_tokens: iterable of str. Tokens that are special beside the model's own.
            added_tokens: iterable of AddedToken or str.
            extra_tokens: iterable of str. The tokens behind pieces and sentinels, by id, each of
                them special or added.
        Returns:
            SentencePieceVocabulary.
        Raises:
            TypeError: if a part has the wrong type.
            ValueError: if a part is broken, or the parts do not fit together.
        """
        model = _parse(data)
        # The model may call them with a space before, as mT5's does; text has them without.
        matches = ((index, _SENTINEL.fullmatch(piece)) for index, piece in enumerate(model.pieces))
        found = {index: match for index, match in matches if match}
        tokens = list(model.pieces)
        for index, match in found.items():
            tokens[index] = match[1]
        _check_sentinels(num_sentinels, sorted(int(m[2]) for m in found.values()))
        count = len(found) or num_sentinels
        sentinels = [f"<extra_id_{number}>" for number in range(count)]
        if not found:
            tokens += reversed(sentinels)
        extra = tuple(extra_tokens)
        tokens += extra
        ids = {token: index for index, token in enumerate(tokens)}
        own = [
            token
            for token, piece_type in zip(tokens, model.types, strict=False)
            if piece_type in (PieceType.CONTROL, PieceType.UNKNOWN)
        ]
        more = check_special_tokens(special_tokens)
        check_membership(more, ids)
        special = check_special_tokens([*own, *more, *sentinels])
        added = check_added_tokens(added_tokens, special)
        check_membership([token.content for token in added], ids, "added_tokens")
        _check_extra(extra, tokens, {*special, *(token.content for token in added)})
        vocabulary = cls(
            data=data,
            model=model,
            ids=ids,
            tokens=order_tokens(ids),
            special_tokens=tuple(sorted(special, key=ids.get)),
            added_tokens=added,
            sentinel_ids=tuple(ids[token] for token in sentinels),
            has_sentinels=bool(found),
        )
        _check_normal(vocabulary)
        return vocabulary

    @property
    def ordinary_types(self):
        """set of PieceType. Those of the pieces that are no special tokens."""
        pairs = zip(self.model.types, self.tokens, strict=False)
        return {kind for kind, token in pairs if token not in self.special_tokens}

    def own_special_ids(self):
        """Gives the special tokens that the model itself sets apart.

        Returns:
            list of int. The ids of control pieces, of the unknown one, and of its own sentinels.
        """
        kinds = (PieceType.CONTROL, PieceType.UNKNOWN)
        own = [index for index, kind in enumerate(self.model.types) if kind in kinds]
        return [*own, *self.sentinel_ids] if self.has_sentinels else own


def check_no_sentinels(special_tokens):
    """Returns the special tokens for a training, if no sentinel is among them.

    Raises:
        ValueError: if one is.
    """
    for token in special_tokens:
        if _SENTINEL.fullmatch(token):
            raise ValueError(
                "`special_tokens` must not have sentinels, as `num_sentinels` makes them. "
                f"Received: {token!r:.80}."
            )
    return special_tokens


def _check_extra(extra_tokens, tokens, known):
    for token in extra_tokens:
        if token not in known:
            raise ValueError(
                "`extra_tokens` must be in `special_tokens` or `added_tokens`. "
                f"Received: {token!r:.80}, which is in neither."
            )
        if tokens.count(token) > 1:
            raise ValueError(
                f"`extra_tokens` must not be in the model. Received: {token!r:.80}, which is."
            )


def _check_normal(vocabulary):
    special = set(vocabulary.special_tokens)
    types = zip(vocabulary.tokens, vocabulary.model.types, strict=False)
    if not any(kind is PieceType.NORMAL and token not in special for token, kind in types):
        raise ValueError(
            "`special_tokens` must leave a normal piece. "
            f"Received: {list(vocabulary.special_tokens)!r:.200}."
        )


def _parse(data):
    if not isinstance(data, bytes):
        raise TypeError(
            "`model` must be bytes, those of a SentencePiece model. "
            f"Received: {data!r:.80}. Open a folder with `load`."
        )
    try:
        return SentencePieceModel.parse(data)
    except ValueError as error:
        raise ValueError(
            f"`model` must be a whole SentencePiece model. Received: {data[:16]!r} and so on, and "
            f"{error}."
        ) from error


def _check_sentinels(num_sentinels, numbers):
    if type(num_sentinels) is not int or num_sentinels < 0:
        raise ValueError(f"`num_sentinels` must be an int from 0 on. Received: {num_sentinels!r}.")
    if numbers != list(range(len(numbers))):
        raise ValueError(
            f"`model` must have sentinels from 0 on, each once. Received: {numbers!r:.80}."
        )
    if numbers and num_sentinels not in (0, len(numbers)):
        raise ValueError(
            f"`num_sentinels` must be {len(numbers)} or 0, as the model has its own. "
            f"Received: {num_sentinels}."
        )
    if num_sentinels > MAX_SENTINELS:
        raise ValueError(
            f"`num_sentinels` must be at most {MAX_SENTINELS}. Received: {num_sentinels!r:.40}."
        )
