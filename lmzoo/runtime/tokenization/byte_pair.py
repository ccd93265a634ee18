"""Byte-level byte-pair tokenizers by the `tokenizers` library."""

import functools

from tokenizers import processors

from .tokenizer import Tokenizer
from .tokenizer_json import open_tokenizer_json

__all__ = ["BytePairTokenizer"]


def _make_alphabet():
    # Printable Latin-1 stands for itself; the other 68 bytes take the characters from U+0100 on.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return {chr(byte if byte in printable else next(others)): byte for byte in range(256)}


_BYTES = _make_alphabet()


class BytePairTokenizer(Tokenizer):
    """GPT-2's, RoBERTa's, Llama 3's, Qwen2's and many others'."""

    def __init__(self, spec, data):
        super().__init__(spec)
        self._library, self._content = open_tokenizer_json(spec, data)

    @functools.cached_property
    def _library_with_offsets(self):
        made = self._library.from_str(self._library.to_str())
        made.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
        return made

    @functools.cached_property
    def _pieces(self):
        """Of each id: its bytes, those without special tokens, and whether the model makes it."""
        model, added = self._content, {index: text for text, index, _ in self.spec.added_tokens}
        special = {index: text for text, index in self.special_tokens.items()}
        tokens = dict.fromkeys(range(self.vocabulary_size), "")
        tokens |= {index: token for token, index in model["vocab"].items()}
        tokens |= added
        made = set()
        if added:
            pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
            made = {left + right for left, right in pairs}
        pieces = []
        for index in range(self.vocabulary_size):
            if index in special:
                pieces.append((special[index].encode(), b"", False))
                continue
            token = tokens[index]
            # An added token that no merge makes is its own text.
            is_text = index in added and token not in made and len(token) > 1
            data = None if is_text else _to_bytes(token)
            data = token.encode() if data is None else data
            pieces.append((data, data, not is_text))
        return pieces

    @property
    def continues_word(self):
        """list of bool. The ids of ordinary tokens that do not begin with white space."""
        return [made and not plain[:1].isspace() for _, plain, made in self._pieces]

    def detokenize_bytes(self, ids, skip_special=True):
        pieces = self._pieces
        return b"".join(pieces[index][skip_special] for index in ids)

    def _encode(self, text):
        return self._library.encode(text, add_special_tokens=False).ids

    def _encode_with_offsets(self, text):
        found = self._library_with_offsets.encode(text)
        return [(index, *span) for index, span in zip(found.ids, found.offsets, strict=True)]


def _to_bytes(token):
    try:
        return bytes(_BYTES[character] for character in token)
    except KeyError:
        return None
