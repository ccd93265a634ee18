"""The base class of all tokenizers: roles of tokens, files, and text to ids and back."""

import functools
import pathlib
import threading

import tensorflow as tf

from lmzoo.json_files import write_text
from lmzoo.keywords import explain_keywords
from lmzoo.tokenizers.files.common import CHAT_TEMPLATE, read_chat_template
from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.special_tokens import SpecialTokenFinder

__all__ = ["ByteTokens", "Tokenizer", "check_num_separators", "read_text"]

# Threads that share a tokenizer must not build its tables twice: those of the second thread would
# be freed under the graph that it is tracing. (As an attribute the lock would forbid copies.)
_BUILDING = threading.RLock()
# What transformers and KerasHub call things, and what to say here.
_OTHER_NAMES = {
    "encode": "`tokenize(text)`, which adds no special tokens",
    "encode_plus": "`tokenize(text)`, which adds no special tokens",
    "batch_encode_plus": "`tokenize(texts)`, which adds no special tokens",
    "decode": "`detokenize(token_ids, skip_special=True)`",
    "batch_decode": "`detokenize(token_ids, skip_special=True)`",
    "convert_tokens_to_ids": "`token_to_id(token)`",
    "convert_ids_to_tokens": "`id_to_token(token_id)`",
    "get_vocab": "`token_to_id(token)` and `vocabulary_size`",
    "get_vocabulary": "`id_to_token(token_id)` and `vocabulary_size`",
    "vocab_size": "`vocabulary_size`",
    "all_special_tokens": "`special_tokens`",
    "save_pretrained": "`save(folder)`",
    "save_to_preset": "`save(folder)`",
    "train_new_from_iterator": "`train(texts, vocabulary_size)`",
    "add_tokens": "the argument `added_tokens` of the class",
    "add_special_tokens": "the argument `special_tokens` of the class or of `train`",
    **{
        f"{theirs}_token{suffix}": f"`{ours}_token{suffix}`"
        for theirs, ours in {
            **{"bos": "start", "cls": "start", "eos": "end", "sep": "end", "unk": "unknown"}
        }.items()
        for suffix in ("", "_id")
    },
}


def _make_role_id(role, meaning):
    """A property that gives the id of the token of a role."""
    return property(lambda self: self._get_role_id(role), doc=f"int or None. {meaning}")


class Tokenizer(tf.Module):
    """Turns text into token ids and back, inside or outside of a graph.

    A subclass gives `_make_encoder`, `_make_decoder`, `_read_files` and `_write_files`. The encoder
    has `encode(text)` and `encode_with_special(text)`, from string (B,) to ragged int32 (B, None),
    and `encode_with_offsets(text)`, to three of them. The decoder has `join(ids, skip_special)`.

    Args:
        name: str. The name of the module.
        vocabulary: an object with `tokens` (tuple of str, by id), `ids` (dict of str to int) and
            `special_tokens` (tuple of str).
        roles: dict of str to str or None. The special token of each role, such as `end_token`; it
            becomes an attribute of that name.
    Attributes:
        chat_template: str or None. The Jinja template for conversations of the folder that the
            tokenizer was loaded from. It is saved with the tokenizer and never run.
    """

    # The role that stands in for another one to which no token is given.
    _fallback_roles = {}
    unknown_token = start_token = end_token = pad_token = mask_token = None
    # The special tokens that match the white space before them, and behind them, too.
    _lstrip = _rstrip = ()
    # Whether a prompt that is to be continued begins with the start token.
    add_start_token = False
    # Whether the post-processor in its files adds the start and the end token to a text.
    add_bos_and_eos = False
    chat_template = None
    # (kind, name of the file) for `describe_tokenizer`; None where no file has the vocabulary.
    standalone_kind = None
    # What becomes of bytes that are not UTF-8: an error handler of Python, "replace" or "ignore";
    # None where tokens are text.
    _byte_errors = None

    def __init__(self, name, vocabulary, roles):
        super().__init__(name=name)
        self._vocabulary = vocabulary
        self._lazy_encoder = None
        self._lazy_decoder = None
        self._finders = {}
        for role, token in roles.items():
            setattr(self, role, self._check_special(role, token))

    @classmethod
    def load(cls, folder):
        """Opens a folder in Hugging Face's layout.

        Args:
            folder: str or path. It holds `tokenizer.json`, or the files of the vocabulary.
        Returns:
            A tokenizer of this class.
        Raises:
            FileNotFoundError: if these files are not there.
            ValueError: if a file is too large, broken, or describes another kind of tokenizer.
        """
        folder = pathlib.Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"`folder` must be a folder of this machine. Received: {str(folder)!r:.200}. "
                "`lmzoo.load('hf://org/name')` downloads a model with its tokenizer."
            )
        arguments = cls._read_files(folder)
        try:
            tokenizer = cls(**arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The tokenizer files of `folder` must fit together. Received: {str(folder)!r}, "
                f"where this does not hold: {error}"
            ) from error
        tokenizer.chat_template = read_chat_template(folder)
        return tokenizer

    @classmethod
    def from_pretrained(cls, folder):
        """Another name of `load`, which transformers uses."""
        return cls.load(folder)

    @classmethod
    def from_preset(cls, folder):
        """Another name of `load`, which KerasHub uses."""
        return cls.load(folder)

    def save(self, folder):
        """Writes the tokenizer as Hugging Face files; a second save writes the same bytes.

        Args:
            folder: str or path. Made if it is not there.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._write_files(folder)
        if self.chat_template is not None:
            write_text(folder / CHAT_TEMPLATE, self.chat_template)

    def as_layer(self, sequence_length, **options):
        """A Keras layer that tokenizes texts inside of a model.

        Args:
            sequence_length: int. T, to which texts are truncated and padded.
            **options: `add_special`, `allow_special` and `name` of `TokenizerLayer`.
        Returns:
            TokenizerLayer. It turns string (B,) into a dict of `token_ids` int32 (B, T) and
            `padding_mask` bool (B, T), which backbones take.
        Raises:
            TypeError, ValueError: as `TokenizerLayer`.
        """
        from lmzoo.tokenizers.layer import TokenizerLayer

        return TokenizerLayer(self, sequence_length, **options)

    def __getattr__(self, name):
        # Called for names that do not exist.
        if name in _OTHER_NAMES:
            raise AttributeError(
                f"{type(self).__name__} has no `{name}`. Use {_OTHER_NAMES[name]}."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __len__(self):
        """int. As `vocabulary_size`."""
        return self.vocabulary_size

    unknown_token_id = _make_role_id(
        "unknown_token", "Stands for what the vocabulary cannot express."
    )
    start_token_id = _make_role_id("start_token", "Stands before a text.")
    end_token_id = _make_role_id("end_token", "Stands behind a text.")
    pad_token_id = _make_role_id("pad_token", "Fills rows up to one length.")
    mask_token_id = _make_role_id(
        "mask_token", "Stands where a masked language model has to predict."
    )

    def _get_role_id(self, role):
        while role is not None:
            token = getattr(self, role)
            if token is not None:
                return self._vocabulary.ids[token]
            role = self._fallback_roles.get(role)
        return None

    @property
    def vocabulary_size(self):
        """int. V, the number of tokens, special ones included."""
        return len(self._vocabulary.tokens)

    @property
    def special_tokens(self):
        """tuple of str. The tokens that text does not make, unless `allow_special` is given."""
        return self._vocabulary.special_tokens

    @property
    def added_tokens(self):
        """tuple of str. The non-special added tokens, which are searched in text first."""
        return tuple(token.content for token in self._vocabulary.added_tokens)

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

    @explain_keywords
    def tokenize(self, text, allow_special=False):
        """Turns text into token ids, without special tokens before or behind it.

        Args:
            text: str, list of str, or string tensor () or (B,).
            allow_special: bool or list of str. If True, special tokens written in the text are
                read as such; of a list, these alone. By default text is only text.
        Returns:
            tf.RaggedTensor int32 (B, None), or tf.Tensor int32 (None,) for one text.
        Raises:
            TypeError: if `text` is not of strings, or `allow_special` neither a bool nor a list.
            ValueError: if `text` has more than one axis, or a token in `allow_special` is not
                special.
        """
        text = read_text(text)
        _check_allow_special(allow_special)
        encode = self._encoder.encode
        if allow_special is True:
            if self.special_tokens:
                encode = self._encoder.encode_with_special
        elif allow_special:
            finder = self._get_finder(tuple(allow_special))
            encode = functools.partial(self._encoder.encode_around, finder)
        return encode(text) if text.shape.rank else encode(text[None]).values

    def __call__(self, text, allow_special=False, **unknown):
        """As `tokenize`."""
        if unknown:
            raise TypeError(
                "A tokenizer takes `text` and `allow_special`. Received: "
                f"{', '.join(sorted(unknown))!s:.200}. It returns a tf.RaggedTensor: "
                "`.to_tensor(tokenizer.pad_token_id)` pads it."
            )
        return self.tokenize(text, allow_special)

    def tokenize_with_offsets(self, text, allow_special=False):
        """Turns text into ids and says which characters each of them stands for.

        Args:
            text: str, list of str, or string tensor () or (B,).
            allow_special: bool or list of str, as for `tokenize`.
        Returns:
            ids, starts, ends: three tf.RaggedTensor int32 (B, None), or three tf.Tensor int32
            (None,) for one text. A token stands for the characters (code points) of its text from
            `start` to before `end`, without the white space at its own ends. Where a character
            has several tokens, these have the same bounds; those of a SentencePieceTokenizer have
            `start == end`, but for the last one.
        Raises:
            As `tokenize`.
        """
        text = read_text(text)
        _check_allow_special(allow_special)
        encode = self._encoder.encode_with_offsets
        allowed = self.special_tokens if allow_special is True else allow_special
        if allowed:
            finder = self._get_finder(tuple(allowed))
            encode = functools.partial(finder.encode_with_offsets, encode=encode)
        if text.shape.rank:
            return encode(text)
        return tuple(rows.values for rows in encode(text[None]))

    def tokenize_prompts(self, text, allow_special=False):
        """Turns prompts of a causal language model into token ids.

        Where `add_start_token` is True, each begins with the start token. An empty prompt is the
        start token alone, as there must be something to continue.

        Args:
            text: list of str, or string tensor (B,).
            allow_special: as for `tokenize`.
        Returns:
            tf.RaggedTensor int32 (B, None).
        Raises:
            As `tokenize`.
        """
        ids = self.tokenize(text, allow_special)
        lengths = ids.row_lengths()
        added = tf.ones_like(lengths)
        if not self.add_start_token:
            added = tf.cast(lengths == 0, added.dtype)
        # How many start tokens come up to a row's first id.
        num_before = tf.cumsum(added)
        splits = ids.row_splits + tf.concat([[0], num_before], 0)
        row = find_segments(splits)
        # In a table that begins with the start token; `RaggedTensor.concat` would be 150 ops.
        table = tf.concat([[self.start_token_id], ids.values], 0)
        index = tf.range(tf.size(row, splits.dtype)) - tf.gather(num_before, row)
        is_id = index >= tf.gather(ids.row_splits, row)
        values = tf.gather(table, tf.where(is_id, index + 1, 0))
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def tokenize_continuation(self, text):
        """Turns texts into ids where each continues a word of other text, without a space between.

        It cannot be used in a graph, as it builds tables at each call.

        Args:
            text: list of str, or string tensor (B,).
        Returns:
            tf.RaggedTensor int32 (B, None). As `tokenize`, but without the space that some
            tokenizers put before a text.
        Raises:
            As `tokenize`.
        """
        return self.tokenize(text)

    @explain_keywords
    def detokenize(self, ids, skip_special=True):
        """Turns ids into text; the class says what is lost.

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
        return self._to_utf8(self._join(ids, skip_special))

    def _to_utf8(self, text):
        if self._byte_errors is None:
            return text
        return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors=self._byte_errors)

    def detokenize_continuation(self, ids):
        """Turns ids into text that continues other text.

        Args:
            ids: as for `detokenize`.
        Returns:
            string (B,), or () for one row of ids, without special tokens. A space that is a part of
            the first token is kept.
        Raises:
            As `detokenize`.
        """
        return self.detokenize(ids)

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
        return self._build_once("_lazy_encoder", self._make_encoder)

    @property
    def _decoder(self):
        return self._build_once("_lazy_decoder", self._make_decoder)

    def _build_once(self, name, make):
        # At first use, outside of the graph that may be under construction then.
        if getattr(self, name) is None:
            with _BUILDING, tf.init_scope():
                if getattr(self, name) is None:
                    setattr(self, name, make())
        return getattr(self, name)

    def _get_finder(self, tokens):
        """The SpecialTokenFinder for some of the special tokens."""
        for token in tokens:
            self._check_special("allow_special", token)
        # TensorFlow saves dicts with string keys alone; a token may hold spaces.
        key = repr(tokens)
        with _BUILDING, tf.init_scope():
            if key not in self._finders:
                special = {token: self.token_to_id(token) for token in tokens}
                strips = (
                    [token for token in stripping if token in tokens]
                    for stripping in (self._lstrip, self._rstrip)
                )
                self._finders[key] = SpecialTokenFinder(special, *strips)
        return self._finders[key]

    def _check_special(self, argument, token):
        if token is not None and token not in self.special_tokens:
            raise ValueError(
                f"`{argument}` must be among `special_tokens`. Received: {token!r:.80} with "
                f"special_tokens={list(self.special_tokens)!r:.200}."
            )
        return token

    def _check_strips(self, lstrip, rstrip):
        """Sets the special tokens that match the white space beside them."""
        self._lstrip = tuple(self._check_special("lstrip", token) for token in lstrip)
        self._rstrip = tuple(self._check_special("rstrip", token) for token in rstrip)

    def _check_adds(self, argument, adds, *roles):
        """Refuses to add special tokens around a text that the tokenizer does not have."""
        if not isinstance(adds, bool):
            raise TypeError(f"`{argument}` must be True or False. Received: {adds!r:.80}.")
        if adds and None in map(self._get_role_id, roles):
            raise ValueError(
                f"`{argument}` must not be True without {' and '.join(map('`{}`'.format, roles))}. "
                f"Received: {argument}=True."
            )
        return adds


class ByteTokens:
    """A mixin before `Tokenizer`: the tokens are bytes, of which several may make a character."""

    _byte_errors = "replace"

    def detokenize_bytes(self, ids, skip_special=True):
        """Turns ids into the bytes they stand for, for callers that put pieces together.

        Args:
            ids: as for `detokenize`.
            skip_special: bool. As for `detokenize`.
        Returns:
            string (B,), or () for one row of ids. A character may be truncated at either end.
        Raises:
            As `detokenize`.
        """
        return self._join(ids, skip_special)


def _check_allow_special(allow_special):
    if not isinstance(allow_special, bool | list | tuple):
        raise TypeError(
            "`allow_special` must be True, False or a list of str. Received: "
            f"allow_special={allow_special!r:.80}."
        )


def check_num_separators(num_separators):
    """Refuses a number of end tokens between two texts that no model has."""
    if num_separators not in (1, 2) or isinstance(num_separators, bool):
        raise ValueError(f"`num_separators` must be 1 or 2. Received: {num_separators!r:.80}.")
    return num_separators


def read_text(text):
    """Gives a text or a list of texts as a string tensor, () or (B,)."""
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
