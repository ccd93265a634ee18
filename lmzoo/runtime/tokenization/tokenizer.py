"""What all tokenizers share: roles, special tokens in text, and ids back to text."""

import re

__all__ = ["STRIPPED", "WHITE_SPACE", "Tokenizer", "TokenFinder"]

# In place of an id: white space that the token beside it matches too.
STRIPPED = -1
# Unicode's White_Space.
WHITE_SPACE = "".join(
    map(
        chr,
        [
            *range(0x9, 0xE),
            *(0x20, 0x85, 0xA0, 0x1680),
            *range(0x2000, 0x200B),
            *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
        ],
    )
)


class Tokenizer:
    """Turns a text into ids and ids into text; text never becomes a special token by itself.

    A subclass gives `_encode(text)`, to a list of ids, `_encode_with_offsets(text)`, to a list of
    (id, start, end), and `detokenize_bytes(ids, skip_special)`. It also takes `data`, the bytes of
    the file that `spec.file` names, and raises ValueError if that is broken or of another kind.

    Args:
        spec: TokenizerSpec.
    """

    def __init__(self, spec):
        self.spec = spec
        self.special_tokens = spec.special_tokens
        self.vocabulary_size = spec.vocabulary_size
        self.start_token_id = spec.start_token_id
        self.end_token_id = spec.end_token_id
        self.pad_token_id = spec.pad_token_id
        self.mask_token_id = spec.mask_token_id
        self.num_separators = spec.num_separators
        # The added tokens that are searched in text as it is.
        self._raw_added = {
            content: index for content, index, normal in spec.added_tokens if not normal
        }
        self._finders = {}

    def tokenize(self, text, allow_special=False):
        """Turns text into ids, without special tokens before or behind it.

        Args:
            text: str.
            allow_special: bool or list of str. If True, special tokens written in the text are read
                as such; of a list, these alone.
        Returns:
            list of int.
        Raises:
            TypeError: if `allow_special` is neither a bool nor a list.
            ValueError: if a token in it is not special.
        """
        finder = self._find_allowed(allow_special, with_added=True)
        return self._encode_pieces([(text, None)] if finder is None else finder.split(text))

    def tokenize_with_offsets(self, text, allow_special=False):
        """Turns text into ids and says which characters each of them stands for.

        Args:
            text: str.
            allow_special: as for `tokenize`.
        Returns:
            list of (id, start, end), without the white space at both ends of a token.
        Raises:
            As `tokenize`.
        """
        finder, made, place = self._find_allowed(allow_special), [], 0
        for piece, index in [(text, None)] if finder is None else finder.split(text):
            if index is None:
                tokens = self._encode_with_offsets(piece)
                made += [(token, place + start, place + end) for token, start, end in tokens]
            elif index != STRIPPED:
                made.append((index, place, place + len(piece)))
            place += len(piece)
        return made

    def tokenize_prompt(self, text, allow_special=False):
        """Turns a prompt of a causal language model into ids.

        It begins with the start token where the tokenizer says so, and where it is empty.

        Args:
            text, allow_special: as for `tokenize`.
        Returns:
            list of int, not empty.
        Raises:
            As `tokenize`.
        """
        ids = self.tokenize(text, allow_special)
        return [self.start_token_id, *ids] if self.spec.add_start_token or not ids else ids

    def tokenize_continuation(self, text):
        """Turns text that continues a word of other text into ids: list of int."""
        return self.tokenize(text)

    def detokenize(self, ids, skip_special=True):
        """Turns ids into a text of its own.

        Args:
            ids: list of int.
            skip_special: bool. If True, special tokens leave nothing behind.
        Returns:
            str. What is not UTF-8, such as a cut character, becomes U+FFFD.
        """
        return self.detokenize_bytes(ids, skip_special).decode("utf-8", "replace")

    def detokenize_continuation(self, ids):
        """Turns ids into text that continues other text: str, without special tokens."""
        return self.detokenize(ids)

    def detokenize_bytes(self, ids, skip_special=True):
        """Turns ids into the bytes they stand for inside a text."""
        raise NotImplementedError

    def stream_bytes(self, is_continuation):
        """A function that gives the bytes of one id after another.

        Args:
            is_continuation: bool. If False, the ids are a text of its own, whose start may lose a
                space.
        Returns:
            callable, int -> bytes.
        Raises:
            ValueError: if the text of an id depends on the ids beside it.
        """
        return lambda index: self.detokenize_bytes([index])

    def _encode(self, text):
        raise NotImplementedError

    def _encode_with_offsets(self, text):
        raise NotImplementedError

    def _encode_pieces(self, pieces):
        """The ids of pieces of one text, as `TokenFinder` gives them."""
        made = []
        for piece, index in pieces:
            if index is None:
                made += self._encode(piece)
            elif index != STRIPPED:
                made.append(index)
        return made

    def _find_allowed(self, allow_special, with_added=False):
        """The TokenFinder of the special tokens that are looked for, or None."""
        if not isinstance(allow_special, bool | list | tuple):
            raise TypeError(
                "`allow_special` must be True, False or a list of str. Received: "
                f"allow_special={allow_special!r:.80}."
            )
        if not allow_special or not self.special_tokens:
            return None
        tokens = dict(self.special_tokens)
        if allow_special is True:
            # Of both kinds, the longest one is taken.
            tokens |= self._raw_added if with_added else {}
        else:
            for token in allow_special:
                if token not in tokens:
                    raise ValueError(
                        "`allow_special` must be among `special_tokens`. Received: "
                        f"{token!r:.80} with special_tokens={list(tokens)!r:.200}."
                    )
            tokens = {token: tokens[token] for token in allow_special}
        names = tuple(tokens)
        if names not in self._finders:
            self._finders[names] = self._make_finder(tokens)
        return self._finders[names]

    def _make_finder(self, tokens, names=None):
        """A TokenFinder, or None for no tokens; `names` has the contents of normalized tokens."""
        if not tokens:
            return None
        names = names or {}
        strips = (
            [token for token in tokens if names.get(token, token) in stripping]
            for stripping in (self.spec.lstrip, self.spec.rstrip)
        )
        return TokenFinder(tokens, *strips)


class TokenFinder:
    """Splits text at some tokens: at the leftmost one, and at the longest of several there.

    Args:
        tokens: dict of str to int.
        lstrip, rstrip: list of str. Those that match the white space before them, or behind them.
    """

    def __init__(self, tokens, lstrip=(), rstrip=()):
        longest_first = sorted(tokens, key=lambda token: (-len(token), token))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        self._tokens, self._lstrip, self._rstrip = tokens, frozenset(lstrip), frozenset(rstrip)

    def split(self, text):
        """Splits a text.

        Args:
            text: str.
        Returns:
            list of (str, id): pieces that make the text, with text at both ends. The id is None for
            text and `STRIPPED` for white space that belongs to the token beside it.
        """
        pieces, place, strips_next = [], 0, False
        for match in self._pattern.finditer(text):
            token = match.group()
            before, stripped = text[place : match.start()], ""
            if token in self._lstrip:
                before, stripped = _cut(before, len(before.rstrip(WHITE_SPACE)))
            pieces += self._make_text(before, strips_next)
            if stripped:
                pieces += [(stripped, STRIPPED), ("", None)]
            pieces.append((token, self._tokens[token]))
            place, strips_next = match.end(), token in self._rstrip
        return pieces + self._make_text(text[place:], strips_next)

    def _make_text(self, text, is_stripped):
        kept = text.lstrip(WHITE_SPACE) if is_stripped else text
        if len(kept) == len(text):
            return [(text, None)]
        return [("", None), (text[: len(text) - len(kept)], STRIPPED), (kept, None)]


def _cut(text, place):
    return text[:place], text[place:]
