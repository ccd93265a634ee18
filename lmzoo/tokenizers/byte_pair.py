"""The byte-level byte-pair tokenizer: GPT-2's, RoBERTa's and many others'."""

import tensorflow as tf

from lmzoo.tokenizers.byte_pair_decoder import BytePairDecoder
from lmzoo.tokenizers.byte_pair_encoder import BytePairEncoder
from lmzoo.tokenizers.byte_pair_files import ROLES, read_files, write_files
from lmzoo.tokenizers.byte_pair_vocabulary import BytePairVocabulary, check_special_tokens
from lmzoo.tokenizers.learning import learn_byte_pairs

__all__ = ["BytePairTokenizer"]


class BytePairTokenizer(tf.Module):
    """Turns any text into ids and back, inside or outside of a graph.

    The ids are those of Hugging Face `tokenizers` with GPT-2's settings, for every Unicode text;
    invalid UTF-8 is read as Python's `bytes.decode("utf-8", "replace")` reads it. No special token
    comes out of text unless `allow_special=True`. All tables are immutable: as an attribute of a
    `tf.Module` or a Keras model the tokenizer is saved with its graph.

    Args:
        vocabulary: dict of str to int. V tokens in the byte-level alphabet of a GPT-2
            `vocab.json`, with the special tokens among them; the ids are 0 to V - 1.
        merges: list of (left, right) tokens or of "left right" strings, first to last.
        special_tokens: list of str. The tokens that no text makes.
        end_token: str or None. Stands behind a text.
        start_token: str or None. Stands before a text; None falls back to `end_token`.
        pad_token: str or None. Fills rows up; None falls back to `end_token`.
        mask_token: str or None. Stands where a masked model shall guess.
        strip_left: list of str. The special tokens that take the white space before them, as
            RoBERTa's `<mask>` does. It matters where `allow_special=True`.
    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if vocabulary, merges and special tokens do not fit together.
    Example:
    >>> tokenizer = BytePairTokenizer.train(iter(["a cat, a hat, a cat"]), 300)
    >>> ids = tokenizer.tokenize(["a hat", "猫"])
    >>> [text.decode() for text in tokenizer.detokenize(ids).numpy()]
    ['a hat', '猫']

    Reference: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, for the merges; Radford et
    al. 2019, "Language models are unsupervised multitask learners", section 2.2, for bytes.
    """

    def __init__(
        self,
        vocabulary,
        merges,
        special_tokens=("<|endoftext|>",),
        end_token="<|endoftext|>",
        start_token=None,
        pad_token=None,
        mask_token=None,
        strip_left=(),
    ):
        super().__init__(name="byte_pair_tokenizer")
        self._vocabulary = BytePairVocabulary.build(vocabulary, merges, special_tokens)
        self.end_token = self._check_special("end_token", end_token)
        self.start_token = self._check_special("start_token", start_token)
        self.pad_token = self._check_special("pad_token", pad_token)
        self.mask_token = self._check_special("mask_token", mask_token)
        self._strip_left = tuple(self._check_special("strip_left", token) for token in strip_left)
        self._lazy_encoder = None
        self._lazy_decoder = None

    @classmethod
    def train(
        cls, files_or_iterator, vocabulary_size, special_tokens=("<|endoftext|>",), verbose=False
    ):
        """Learns a tokenizer; the same text gives the same one.

        Args:
            files_or_iterator: list of str or paths: files of UTF-8 text. An iterator: texts.
            vocabulary_size: int. How many tokens there may be, special ones and 256 bytes
                included; a short text gives fewer.
            special_tokens: list of str. They take the first ids; the first one is `end_token`.
            verbose: bool. If True, progress is shown on the terminal.
        Returns:
            BytePairTokenizer.
        Raises:
            TypeError: if `files_or_iterator` is neither.
            FileNotFoundError: if a file is not there.
            ValueError: if there is no text, a file is not text, or `vocabulary_size` is too small.
        """
        special_tokens = check_special_tokens(special_tokens)
        learned = learn_byte_pairs(files_or_iterator, vocabulary_size, special_tokens, verbose)
        return cls(*learned, special_tokens, special_tokens[0] if special_tokens else None)

    @classmethod
    def load(cls, folder):
        """Opens a folder in Hugging Face layout.

        Args:
            folder: str or path. It holds `tokenizer.json`, or `vocab.json` and `merges.txt`.
        Returns:
            BytePairTokenizer.
        Raises:
            FileNotFoundError: if these files are not there.
            ValueError: if a file is too large, broken, or describes another kind of tokenizer.
        """
        arguments = read_files(folder)
        try:
            return cls(**arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The tokenizer files of `folder` must fit together. Received: {str(folder)!r}, "
                f"where this does not hold: {error}"
            ) from error

    def save(self, folder):
        """Writes the tokenizer as Hugging Face files; a second save writes the same bytes.

        Args:
            folder: str or path. Made if it is not there.
        """
        roles = {role: getattr(self, role) for role in ROLES}
        write_files(folder, self._vocabulary, roles, self._strip_left)

    @property
    def vocabulary_size(self):
        """int. V, the number of tokens, special ones included."""
        return len(self._vocabulary.tokens)

    @property
    def special_tokens(self):
        """tuple of str."""
        return self._vocabulary.special_tokens

    @property
    def end_token_id(self):
        """int or None."""
        return self._vocabulary.ids.get(self.end_token)

    @property
    def start_token_id(self):
        """int or None. The id of `end_token` if there is no `start_token`."""
        return self._vocabulary.ids.get(self.start_token, self.end_token_id)

    @property
    def pad_token_id(self):
        """int or None. The id of `end_token` if there is no `pad_token`."""
        return self._vocabulary.ids.get(self.pad_token, self.end_token_id)

    @property
    def mask_token_id(self):
        """int or None."""
        return self._vocabulary.ids.get(self.mask_token)

    def token_to_id(self, token):
        """Gives the id of a token.

        Args:
            token: str, in the byte-level alphabet or special.
        Returns:
            int.
        Raises:
            ValueError: if it is not in the vocabulary.
        """
        if token not in self._vocabulary.ids:
            raise ValueError(
                f"`token` must be one of the {self.vocabulary_size} of the vocabulary. "
                f"Received: {token!r:.80}."
            )
        return self._vocabulary.ids[token]

    def id_to_token(self, token_id):
        """Gives the token of an id.

        Args:
            token_id: int.
        Returns:
            str, in the byte-level alphabet or special.
        Raises:
            ValueError: if it is not in the vocabulary.
        """
        if not 0 <= token_id < self.vocabulary_size:
            raise ValueError(
                f"`token_id` must be from 0 to {self.vocabulary_size - 1}. Received: {token_id}."
            )
        return self._vocabulary.tokens[token_id]

    def tokenize(self, text, allow_special=False):
        """Turns text into ids; nothing is put before or behind it.

        Args:
            text: str, list of str, or string tensor () or (B,).
            allow_special: bool. If True, special tokens written in the text become theirs.
        Returns:
            tf.RaggedTensor int32 (B, None), or tf.Tensor int32 (None,) for one text.
        Raises:
            TypeError: if `text` is not of strings.
            ValueError: if `text` has more than one axis.
        """
        text = tf.convert_to_tensor(text) if _is_filled(text) else tf.zeros([0], tf.string)
        if text.dtype != tf.string:
            raise TypeError(f"`text` must hold strings. Received: dtype={text.dtype.name}.")
        if text.shape.rank not in (0, 1):
            raise ValueError(
                f"`text` must be one string or a list of them. Received: shape={text.shape}."
            )
        encode = self._encoder.encode
        if allow_special and self.special_tokens:
            encode = self._encoder.encode_with_special
        return encode(text) if text.shape.rank else encode(text[None]).values

    __call__ = tokenize

    def detokenize(self, ids, skip_special=True):
        """Turns ids into text; what is not UTF-8, as a cut character, becomes U+FFFD.

        Args:
            ids: int (B, T), dense or ragged, or (T,); a tensor or lists.
            skip_special: bool. If True, special tokens leave nothing behind.
        Returns:
            string (B,), or () for one row of ids.
        Raises:
            TypeError: if `ids` are not integers.
            ValueError: if `ids` have no or more than two axes.
            tf.errors.InvalidArgumentError: if an id is not in the vocabulary, at run time.
        """
        text = self.detokenize_bytes(ids, skip_special)
        return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")

    def detokenize_bytes(self, ids, skip_special=True):
        """Turns ids into the bytes they stand for, for callers that put pieces together.

        Args:
            ids: as for `detokenize`.
            skip_special: bool. As for `detokenize`.
        Returns:
            string (B,), or () for one row of ids. A character may be cut at either end.
        Raises:
            As `detokenize`.
        """
        if not isinstance(ids, tf.Tensor | tf.RaggedTensor):
            ids = (
                tf.ragged.constant(ids, tf.int64) if _is_filled(ids) else tf.constant([], tf.int64)
            )
        if not ids.dtype.is_integer:
            raise TypeError(f"`ids` must be integers. Received: dtype={ids.dtype.name}.")
        if ids.shape.rank not in (1, 2):
            raise ValueError(f"`ids` must have one or two axes. Received: shape={ids.shape}.")
        if ids.shape.rank == 2:
            return self._decoder.join(ids, skip_special)
        return self._decoder.join(ids[None], skip_special)[0]

    @property
    def _encoder(self):
        # Made at first use, outside of the graph that may be under construction then.
        if self._lazy_encoder is None:
            with tf.init_scope():
                self._lazy_encoder = BytePairEncoder(self._vocabulary, self._strip_left)
        return self._lazy_encoder

    @property
    def _decoder(self):
        if self._lazy_decoder is None:
            with tf.init_scope():
                self._lazy_decoder = BytePairDecoder(self._vocabulary)
        return self._lazy_decoder

    def _check_special(self, argument, token):
        if token is not None and token not in self.special_tokens:
            raise ValueError(
                f"`{argument}` must be among `special_tokens`. Received: {token!r:.80} with "
                f"special_tokens={list(self.special_tokens)!r:.200}."
            )
        return token


def _is_filled(values):
    return not (isinstance(values, list | tuple) and not values)
