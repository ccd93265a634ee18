"""The byte tokenizer of ByT5: each UTF-8 byte is a token."""

import dataclasses

import numpy as np
import tensorflow as tf

from lmzoo.json_files import write_json
from lmzoo.tokenizers.files.common import (
    FileCheck,
    describe_token,
    get_content,
    read_additional,
    read_class_name,
    read_more_added,
    read_named,
)
from lmzoo.tokenizers.graphs import Encoder, check_ids
from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder
from lmzoo.tokenizers.tokenizer import ByteTokens, Tokenizer

__all__ = ["ByteTokenizer"]

_SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>")
_FIRST = len(_SPECIAL_TOKENS)
_MAX_SENTINELS = 10_000
_CLASS = "ByT5Tokenizer"
_KIND = "the bytes of ByT5"
# What transformers calls the roles.
_ROLES = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


class ByteTokenizer(ByteTokens, Tokenizer):
    """Turns text into the ids of its UTF-8 bytes, inside or outside of a graph.

    The ids are those of ByT5: `<pad>`, `</s>` and `<unk>` are 0, 1 and 2, the bytes 3 to 258, and
    the sentinels `<extra_id_0>`, `<extra_id_1>` and so on stand behind them. Invalid UTF-8 is read
    as Python's `bytes.decode("utf-8", "replace")` reads it. (With `allow_special`, transformers
    also removes white space around `<pad>`, `</s>` and `<unk>` in text; here it is kept.)
    `detokenize` leaves bytes out that are not UTF-8.

    Args:
        num_sentinels: int. How many sentinels there are.
    Raises:
        ValueError: if `num_sentinels` is not an int from 0 to 10,000.
    Example:
    >>> tokenizer = ByteTokenizer()
    >>> tokenizer.tokenize(["a é", "<extra_id_0>"], allow_special=True).to_list()
    [[100, 35, 198, 172], [259]]
    >>> tokenizer.detokenize([[100, 35, 198, 172, 1]]).numpy()[0].decode()
    'a é'

    Reference: Xue et al. 2022, https://arxiv.org/abs/2105.13626, section 3.
    """

    _fallback_roles = {"start_token": "pad_token"}
    # T5 puts one end token between the texts of a pair.
    num_separators = 1
    _byte_errors = "ignore"

    def __init__(self, num_sentinels=125):
        if type(num_sentinels) is not int or not 0 <= num_sentinels <= _MAX_SENTINELS:
            raise ValueError(
                f"`num_sentinels` must be an int from 0 to {_MAX_SENTINELS}. "
                f"Received: {num_sentinels!r:.40}."
            )
        roles = {"pad_token": "<pad>", "end_token": "</s>", "unknown_token": "<unk>"}
        super().__init__("byte_tokenizer", _Vocabulary.build(num_sentinels), roles)

    @classmethod
    def _read_files(cls, folder):
        named = read_named(folder)
        check = FileCheck(folder / "tokenizer_config.json", _KIND)
        check.expect("tokenizer_class", read_class_name(folder, named), (_CLASS,))
        for role, token in _ROLES.items():
            check.expect(role, get_content(named.get(role, token)), (token,))
        sources = read_more_added(folder, named, _KIND, _ROLES)
        added = [(source, token) for source, tokens in sources for token in tokens]
        for source, token in added:
            if get_content(token) is None or type(token["id"]) is not int:
                source.refuse("added_tokens", token, "objects with a `content` and an `id`")
        sentinels = {token["content"] for _, token in added if token["id"] >= _FIRST + 256}
        count = len(sentinels) or len(read_additional(folder, named)) or named.get("extra_ids", 125)
        ids = _Vocabulary.build(count if type(count) is int and count <= _MAX_SENTINELS else 0).ids
        for source, token in added:
            if sentinels and ids.get(token["content"]) != token["id"]:
                wrong = {str(token["id"]): token["content"]}
                source.refuse("added_tokens", wrong, "ByT5's tokens and ids")
        return {"num_sentinels": count}

    def _write_files(self, folder):
        special = {self.token_to_id(token): describe_token(token) for token in self.special_tokens}
        sentinels = [self.id_to_token(int(index)) for index in self.sentinel_ids]
        content = {
            "tokenizer_class": _CLASS,
            # Those that are listed are not added once more.
            "extra_ids": 0,
            **_ROLES,
            "additional_special_tokens": sentinels,
            "added_tokens_decoder": {str(index): token for index, token in special.items()},
        }
        write_json(folder / "tokenizer_config.json", content)

    @property
    def sentinel_ids(self):
        """np.ndarray int32 (num_sentinels,). Those of `<extra_id_0>`, `<extra_id_1>` and so on."""
        return np.arange(_FIRST + 256, self.vocabulary_size, dtype=np.int32)

    @property
    def continues_word(self):
        """np.ndarray bool (V,). The bytes but for ASCII white space."""
        inside = np.zeros(self.vocabulary_size, bool)
        inside[_FIRST : _FIRST + 256] = [not bytes([byte]).isspace() for byte in range(256)]
        return inside

    def _make_encoder(self):
        return _Encoder(self._vocabulary)

    def _make_decoder(self):
        return _Decoder(self._vocabulary)


@dataclasses.dataclass(frozen=True)
class _Vocabulary:
    """The names of the tokens: those of bytes are `<0x00>` to `<0xFF>`."""

    ids: dict
    tokens: tuple
    special_tokens: tuple
    added_tokens: tuple = ()

    @classmethod
    def build(cls, num_sentinels):
        names = [f"<0x{byte:02X}>" for byte in range(256)]
        sentinels = [f"<extra_id_{index}>" for index in range(num_sentinels)]
        tokens = (*_SPECIAL_TOKENS, *names, *sentinels)
        ids = {token: index for index, token in enumerate(tokens)}
        return cls(ids, tokens, (*_SPECIAL_TOKENS, *sentinels))


class _Encoder(Encoder):
    """Turns rows of text into the ids of their bytes."""

    def __init__(self, vocabulary):
        super().__init__(name="byte_encoder")
        special = {token: vocabulary.ids[token] for token in vocabulary.special_tokens}
        self._special = SpecialTokenFinder(special)

    def _encode(self, text):
        text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        data = tf.io.decode_raw(tf.strings.reduce_join(text), tf.uint8)
        lengths = tf.cast(tf.strings.length(text), tf.int64)
        ids = tf.cast(data, tf.int32) + _FIRST
        return tf.RaggedTensor.from_row_lengths(ids, lengths, validate=False)

    def _encode_with_offsets(self, text):
        ids = self._encode(text)
        # A byte that does not go on with a character begins one.
        begins = tf.cast((ids.values - _FIRST) & 0xC0 != 0x80, tf.int32)
        characters = tf.cumsum(begins)
        rows = find_segments(ids.row_splits)
        before = tf.gather(tf.concat([[0], characters], 0), tf.gather(ids.row_splits, rows))
        starts = characters - 1 - before
        return ids, ids.with_values(starts), ids.with_values(starts + 1)


class _Decoder(tf.Module):
    """Joins the bytes of ids."""

    def __init__(self, vocabulary):
        super().__init__(name="byte_decoder")
        with tf.init_scope(), tf.device("/CPU:0"):
            data = [bytes([byte]) for byte in range(256)]
            sentinels = vocabulary.tokens[_FIRST + 256 :]
            named = [*map(str.encode, _SPECIAL_TOKENS), *data, *map(str.encode, sentinels)]
            self._named = tf.constant(named)
            self._plain = tf.constant([b""] * _FIRST + data + [b""] * len(sentinels))

    def join(self, ids, skip_special):
        """Ids (B, T), dense or ragged, to bytes, string (B,)."""
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.RaggedTensor.from_tensor(ids)
        texts = self._plain if skip_special else self._named
        texts = tf.gather(texts, check_ids(ids.values, texts.shape[0]))
        return tf.strings.unsorted_segment_join(texts, find_segments(ids.row_splits), ids.nrows())
