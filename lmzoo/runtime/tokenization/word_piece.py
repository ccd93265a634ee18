"""WordPiece tokenizers by the `tokenizers` library."""

import functools

from .tokenizer import Tokenizer
from .tokenizer_json import open_tokenizer_json

__all__ = ["WordPieceTokenizer"]

# What English writes without a space before it, as Hugging Face's decoder has it.
_TIGHT = {
    " .": ".",
    " ?": "?",
    " !": "!",
    " ,": ",",
    " ' ": "'",
    " n't": "n't",
    " 'm": "'m",
    " do not": " don't",
    " 's": "'s",
    " 've": "'ve",
    " 're": "'re",
}


class WordPieceTokenizer(Tokenizer):
    """BERT's, DistilBERT's, ELECTRA's and many others'."""

    def __init__(self, spec, data):
        super().__init__(spec)
        self._library, model = open_tokenizer_json(spec, data)
        self._vocabulary, self._prefix = model["vocab"], model["continuing_subword_prefix"]
        self._special_ids = frozenset(self.special_tokens.values())

    @functools.cached_property
    def _tokens(self):
        tokens = dict.fromkeys(range(self.vocabulary_size), "")
        tokens |= {index: token for token, index in self._vocabulary.items()}
        tokens |= {index: token for token, index, _ in self.spec.added_tokens}
        tokens |= {index: token for token, index in self.special_tokens.items()}
        return [tokens[index] for index in range(self.vocabulary_size)]

    @functools.cached_property
    def _texts(self):
        """Of each id: its text as the first token of a text, and behind another one."""
        prefix, pairs = self._prefix, []
        for token in self._tokens:
            is_behind = token.startswith(prefix)
            behind = token.removeprefix(prefix) if is_behind else f" {token}"
            pairs.append((_tighten(token), _tighten(behind)))
        return pairs

    @property
    def continues_word(self):
        """list of bool. The ids that continue a word that began before them."""
        added = {index for token, index, _ in self.spec.added_tokens}
        # An added token that the model has too may be one of its continuing tokens.
        added -= set(self._vocabulary.values())
        size = len(self._prefix)
        return [
            token.startswith(self._prefix)
            and len(token) > size
            and index not in self._special_ids | added
            for index, token in enumerate(self._tokens)
        ]

    def detokenize_bytes(self, ids, skip_special=True):
        kept = [index for index in ids if not (skip_special and index in self._special_ids)]
        texts = self._texts
        return "".join(texts[index][place > 0] for place, index in enumerate(kept)).encode()

    def stream_bytes(self, is_continuation):
        raise ValueError(
            "`stop_strings` needs a tokenizer whose tokens stand for the same wherever they are. "
            "Received: a WordPiece tokenizer."
        )

    def _encode(self, text):
        return self._library.encode(text, add_special_tokens=False).ids

    def _encode_with_offsets(self, text):
        found = self._library.encode(text, add_special_tokens=False)
        return [(index, *span) for index, span in zip(found.ids, found.offsets, strict=True)]


def _tighten(text):
    for loose, tight in _TIGHT.items():
        text = text.replace(loose, tight)
    return text
