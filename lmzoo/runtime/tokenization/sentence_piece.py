"""SentencePiece tokenizers by the `sentencepiece` library."""

import dataclasses
import functools

import numpy as np
import sentencepiece

from ..sentence_piece_file.model import PieceType, SentencePieceModel
from ..sentence_piece_file.protobuf_wire import read_fields
from .tokenizer import STRIPPED, WHITE_SPACE, Tokenizer

__all__ = ["SentencePieceTokenizer"]

_SPACE = "\u2581"
# Fields of the library's `SentencePieceText` and its pieces.
_PIECES, _ID, _BEGIN, _END = 2, 2, 4, 5


class SentencePieceTokenizer(Tokenizer):
    """T5's, mT5's, Llama 2's, Mistral's and XLM-RoBERTa's.

    Args:
        spec: TokenizerSpec.
        data: bytes of a SentencePiece model.
    Raises:
        ValueError: if the file is broken, or does not fit to `spec`.
    """

    def __init__(self, spec, data):
        super().__init__(spec)
        try:
            self._model = SentencePieceModel.parse(data)
        except ValueError as error:
            raise ValueError(
                f"`spiece.model` must be a whole SentencePiece model. Received: {data[:16]!r} and "
                f"so on, and {error}."
            ) from error
        size = len(self._model.pieces)
        if size > spec.vocabulary_size:
            raise ValueError(
                f"`spiece.model` must have at most {spec.vocabulary_size} pieces, as the manifest "
                f"says. Received: {size}."
            )
        self._hidden = [index for index in spec.special_tokens.values() if index < size]
        normal = {content: index for content, index, normalized in spec.added_tokens if normalized}
        self._normalizer = _Normalizer(self._model.rules) if normal and self._model.rules else None
        model = self._model
        if spec.prepend_scheme is not None:
            model = dataclasses.replace(model, add_dummy_prefix=False)
        if self._normalizer is not None:
            # It sees text that is normalized already.
            model = dataclasses.replace(model, rules=b"")
        self._library = _load(model, self._hidden)
        contents = {}
        for content in normal:
            if text := self._normalize(content):
                contents.setdefault(text, content)
        self._find_raw = self._make_finder(self._raw_added)
        self._find_normal = self._make_finder(
            {text: normal[content] for text, content in contents.items()}, contents
        )

    @functools.cached_property
    def _continuation_library(self):
        return _load(dataclasses.replace(self._model, add_dummy_prefix=False), self._hidden)

    def tokenize_continuation(self, text):
        puts_space = self._model.add_dummy_prefix
        if self.spec.prepend_scheme is not None:
            puts_space = self.spec.prepend_scheme != "never"
        return self._continuation_library.encode(text) if puts_space else self.tokenize(text)

    @functools.cached_property
    def _texts(self):
        """Of each id: (name, bytes, bytes at the start of a text, whether the start is over)."""
        model, scheme = self._model, self.spec.prepend_scheme
        strips = model.remove_extra_whitespaces
        strips |= model.add_dummy_prefix if scheme is None else scheme != "never"
        names = {index: token for token, index in self.special_tokens.items()}
        added = {index: token for token, index, _ in self.spec.added_tokens}
        made = []
        for index in range(self.vocabulary_size):
            is_piece = index < len(model.pieces)
            token = names.get(index, model.pieces[index] if is_piece else added.get(index, ""))
            kind = model.types[index] if is_piece else PieceType.CONTROL
            is_spaced = False
            if kind is PieceType.UNKNOWN:
                data = model.unknown_surface.encode()
            elif index in names:
                data = b""
            elif kind is PieceType.BYTE:
                data = bytes([int(token[3:5], 16)])
            else:
                data = token.replace(_SPACE, " ").encode()
                is_spaced = strips and token.startswith(_SPACE)
            leading = data[1:] if is_spaced else data
            # Where extra spaces go, a piece that is only one leaves the start where it is.
            fills = bool(leading) or (is_spaced and not model.remove_extra_whitespaces)
            name = names[index].encode() if index in names else None
            made.append((name, data, leading, fills))
        return made

    @property
    def continues_word(self):
        """list of bool. The ids of ordinary tokens that do not begin with a space."""
        special, pieces = set(self.special_tokens.values()), self._model.pieces
        added = {index: token for token, index, _ in self.spec.added_tokens}
        return [
            index not in special
            and not (pieces[index] if index < len(pieces) else added[index]).startswith(_SPACE)
            for index in range(self.vocabulary_size)
        ]

    def detokenize(self, ids, skip_special=True):
        return self._join(ids, skip_special, False).decode("utf-8", "replace")

    def detokenize_bytes(self, ids, skip_special=True):
        return self._join(ids, skip_special, True)

    def detokenize_continuation(self, ids):
        return self.detokenize_bytes(ids).decode("utf-8", "replace")

    def stream_bytes(self, is_continuation):
        begun = is_continuation

        def give(index):
            nonlocal begun
            _, data, leading, fills = self._texts[index]
            data = data if begun else leading
            begun |= fills
            return data

        return give

    def _join(self, ids, skip_special, begun):
        texts, parts = self._texts, []
        for index in ids:
            name, data, leading, fills = texts[index]
            if name is not None and not skip_special:
                data = leading = name
                fills = True
            parts.append(data if begun else leading)
            begun |= fills
        return b"".join(parts)

    def _encode(self, text):
        return self._encode_pieces([(text, None)])

    def _encode_pieces(self, pieces):
        pieces = _split_at(pieces, self._find_raw)
        if self._normalizer is not None:
            pieces = [(self._normalize(p) if i is None else p, i) for p, i in pieces]
        pieces = _split_at(pieces, self._find_normal)
        made = []
        for place, (text, index) in enumerate(pieces):
            if index is None and text:
                made += self._library.encode(self._prepend_space(text, place == 0))
            elif index is not None and index != STRIPPED:
                made.append(index)
        return made

    def _normalize(self, text):
        return text if self._normalizer is None else self._normalizer.normalize(text)

    def _prepend_space(self, text, is_first):
        scheme = self.spec.prepend_scheme
        prepends = scheme == "always" or (scheme == "first" and is_first)
        if not prepends or not text or text[0] in (" ", _SPACE):
            return text
        return " " + text

    def _encode_with_offsets(self, text):
        if self._normalizer is not None:
            raise ValueError(
                "A SentencePiece tokenizer must not have added tokens that are searched in "
                "normalized text where the places of tokens are asked for. Received: "
                f"{[content for content, _, normal in self.spec.added_tokens if normal]!r:.80}."
            )
        pieces = _split_at(_split_at([(text, None)], self._find_raw), self._find_normal)
        made, place = [], 0
        for number, (piece, index) in enumerate(pieces):
            if index is None:
                found = self._find_characters(piece, number == 0)
                made += [(token, place + start, place + end) for token, start, end in found]
            elif index != STRIPPED:
                made.append((index, place, place + len(piece)))
            place += len(piece)
        return made

    def _find_characters(self, text, is_first):
        """(id, start, end) of each token, in characters and without white space at both ends."""
        given = self._prepend_space(text, is_first)
        before = len(given) - len(text)
        sizes = [len(character.encode()) for character in text]
        # The character of each byte, and the end.
        characters = np.append(np.repeat(np.arange(len(text)), sizes), len(text))
        data = self._library.encode(given, out_type="serialized_proto")
        for number, _, piece in read_fields(data):
            if number != _PIECES:
                continue
            fields = {name: value for name, _, value in read_fields(piece)}
            start, end = (
                int(characters[max(fields.get(side, 0) - before, 0)]) for side in (_BEGIN, _END)
            )
            inside = text[start:end]
            kept = inside.lstrip(WHITE_SPACE)
            start += len(inside) - len(kept)
            yield fields.get(_ID, 0), start, start + len(kept.rstrip(WHITE_SPACE))


class _Normalizer:
    """Normalizes text by the table of a model, and changes nothing else of it.

    A model whose pieces are the 256 bytes gives the normalized text byte by byte.
    """

    def __init__(self, rules):
        model = SentencePieceModel.of_bytes(rules)
        self._library = _load(model)

    def normalize(self, text):
        ids = self._library.encode(text)
        data = bytes(index - 2 for index in ids if index > 1)
        return data.decode("utf-8", "replace").replace(_SPACE, " ")


def _load(model, hidden=()):
    return sentencepiece.SentencePieceProcessor(model_proto=model.serialize(hidden))


def _split_at(pieces, finder):
    """Splits those pieces that are text."""
    if finder is None:
        return pieces
    made = []
    for text, index in pieces:
        made += finder.split(text) if index is None else [(text, index)]
    return made
