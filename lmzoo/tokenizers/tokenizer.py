"""What all tokenizers have in common: names of tokens, checked arguments, tables made late."""

import functools
import threading

import tensorflow as tf

from lmzoo.tokenizers.special_tokens import SpecialTokenFinder

__all__ = ["Tokenizer", "read_text"]

# Threads that share a tokenizer must not each make tables: those of the loser would vanish under
# the graph that it is tracing. (As an attribute the lock would forbid copies.)
_BUILDING = threading.RLock()


class Tokenizer(tf.Module):
    """Has a vocabulary; a subclass says how text becomes ids, and ids text.

    A subclass gives `_make_encoder` and `_make_decoder`. The encoder has `encode(text)` and
    `encode_with_special(text)`, from string (B,) to ragged int32 (B, None), and
    `encode_with_offsets(text)`, to three of them.

    Args:
        name: str. The name of the module.
        vocabulary: an object with `tokens` (tuple of str, by id), `ids` (dict of str to int) and
            `special_tokens` (tuple of str).
    """

    # The special tokens that take the white space before them.
    _lstrip = ()
    # Whether a prompt that is to be continued begins with the start token.
    add_start_token = False
    # Whether the post-processor in its files adds the start and the end token to a text.
    add_bos_and_eos = False

    def __init__(self, name, vocabulary):
        super().__init__(name=name)
        self._vocabulary = vocabulary
        self._lazy_encoder = None
        self._lazy_decoder = None
        self._finders = {}

    @property
    def vocabulary_size(self):
        """int. V, the number of tokens, special ones included."""
        return len(self._vocabulary.tokens)

    @property
    def special_tokens(self):
        """tuple of str."""
        return self._vocabulary.special_tokens

    def token_to_id(self, token):
        """Gives the id of a token.

        Args:
            token: str, as it stands in the vocabulary.
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
            str, as it stands in the vocabulary.
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
            allow_special: bool or list of str. If True, special tokens written in the text become
                theirs; of a list these alone do.
        Returns:
            tf.RaggedTensor int32 (B, None), or tf.Tensor int32 (None,) for one text.
        Raises:
            TypeError: if `text` is not of strings, or `allow_special` neither a bool nor a list.
            ValueError: if `text` has more than one axis, or a token in `allow_special` is not
                special.
        """
        text = read_text(text)
        if not isinstance(allow_special, bool | list | tuple):
            raise TypeError(
                "`allow_special` must be True, False or a list of str. Received: "
                f"allow_special={allow_special!r:.80}."
            )
        encode = self._encoder.encode
        if allow_special is True:
            if self.special_tokens:
                encode = self._encoder.encode_with_special
        elif allow_special:
            finder = self._get_finder(tuple(allow_special))
            encode = functools.partial(finder.encode, encode=encode)
        return encode(text) if text.shape.rank else encode(text[None]).values

    __call__ = tokenize

    def tokenize_prompts(self, text, allow_special=False):
        """Turns texts that are to be continued into ids.

        A start token stands before each where `add_start_token` is True, and is all there is where
        a text has no ids of its own, as there must be something to continue.

        Args:
            text: list of str, or string tensor (B,).
            allow_special: as for `tokenize`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        Raises:
            As `tokenize`.
        """
        ids = self.tokenize(text, allow_special)
        begins = tf.ones_like(ids.row_lengths())
        if not self.add_start_token:
            begins = tf.cast(ids.row_lengths() == 0, begins.dtype)
        start = tf.fill([tf.reduce_sum(begins)], self.start_token_id)
        return tf.concat([tf.RaggedTensor.from_row_lengths(start, begins), ids], axis=1)

    def tokenize_continuation(self, text):
        """Turns texts into ids where each stands directly behind other text, in the same word.

        Not for a graph: what it needs is made for the call alone.

        Args:
            text: list of str, or string tensor (B,).
        Returns:
            tf.RaggedTensor int32 (B, None). Those of `tokenize` but for a space that it puts
            before a text.
        Raises:
            As `tokenize`.
        """
        return self.tokenize(text)

    def detokenize_continuation(self, ids):
        """Turns ids into text that stands behind other text.

        Args:
            ids: as for `detokenize`.
        Returns:
            string (B,), or () for one row of ids, without special tokens. A space that is a part of
            the first token stays.
        Raises:
            As `detokenize`.
        """
        return self.detokenize(ids)

    def _encode_with_offsets(self, text):
        """Encodes what `tokenize` takes: ids, starts and ends, int32 (B, None) or (None,)."""
        text = read_text(text)
        if text.shape.rank:
            return self._encoder.encode_with_offsets(text)
        return tuple(rows.values for rows in self._encoder.encode_with_offsets(text[None]))

    def _join(self, ids, skip_special, **options):
        """Decodes what `detokenize` takes: string (B,), or () for one row of ids."""
        if not isinstance(ids, tf.Tensor | tf.RaggedTensor):
            ids = (
                tf.ragged.constant(ids, tf.int64) if _is_filled(ids) else tf.constant([], tf.int64)
            )
        if not ids.dtype.is_integer:
            raise TypeError(f"`ids` must be integers. Received: dtype={ids.dtype.name}.")
        if ids.shape.rank not in (1, 2):
            raise ValueError(f"`ids` must have one or two axes. Received: shape={ids.shape}.")
        if ids.shape.rank == 2:
            return self._decoder.join(ids, skip_special, **options)
        return self._decoder.join(ids[None], skip_special, **options)[0]

    @property
    def _encoder(self):
        # Made at first use, outside of the graph that may be under construction then.
        if self._lazy_encoder is None:
            with _BUILDING, tf.init_scope():
                if self._lazy_encoder is None:
                    self._lazy_encoder = self._make_encoder()
        return self._lazy_encoder

    @property
    def _decoder(self):
        if self._lazy_decoder is None:
            with _BUILDING, tf.init_scope():
                if self._lazy_decoder is None:
                    self._lazy_decoder = self._make_decoder()
        return self._lazy_decoder

    def _get_finder(self, tokens):
        """What finds some of the special tokens in text."""
        for token in tokens:
            self._check_special("allow_special", token)
        # TensorFlow saves dicts with string keys alone; a token may hold spaces.
        key = repr(tokens)
        with _BUILDING, tf.init_scope():
            if key not in self._finders:
                special = {token: self.token_to_id(token) for token in tokens}
                lstrip = [token for token in self._lstrip if token in tokens]
                self._finders[key] = SpecialTokenFinder(special, lstrip)
        return self._finders[key]

    def _check_special(self, argument, token):
        if token is not None and token not in self.special_tokens:
            raise ValueError(
                f"`{argument}` must be among `special_tokens`. Received: {token!r:.80} with "
                f"special_tokens={list(self.special_tokens)!r:.200}."
            )
        return token

    def _check_start(self, add_start_token):
        if not isinstance(add_start_token, bool):
            raise TypeError(
                f"`add_start_token` must be True or False. Received: {add_start_token!r:.80}."
            )
        if add_start_token and self.start_token_id is None:
            raise ValueError(
                "`add_start_token` must not be True without a `start_token`. Received: "
                "add_start_token=True."
            )
        return add_start_token

    def _check_add_bos_and_eos(self, add_bos_and_eos):
        if not isinstance(add_bos_and_eos, bool):
            raise TypeError(
                f"`add_bos_and_eos` must be True or False. Received: {add_bos_and_eos!r:.80}."
            )
        if add_bos_and_eos and None in (self.start_token_id, self.end_token_id):
            raise ValueError(
                "`add_bos_and_eos` must not be True without a start and an end token. Received: "
                "add_bos_and_eos=True."
            )
        return add_bos_and_eos


def read_text(text):
    """Text as a string tensor, () or (B,), as `Tokenizer.tokenize` takes it."""
    text = tf.convert_to_tensor(text) if _is_filled(text) else tf.zeros([0], tf.string)
    if text.dtype != tf.string:
        raise TypeError(f"`text` must hold strings. Received: dtype={text.dtype.name}.")
    if text.shape.rank not in (0, 1):
        raise ValueError(
            f"`text` must be one string or a list of them. Received: shape={text.shape}."
        )
    return text


def _is_filled(values):
    return not (isinstance(values, list | tuple) and not values)
