"""The SentencePiece tokenizer: that of T5, mT5, Llama 2, Mistral and XLM-RoBERTa."""

import dataclasses

import numpy as np

from lmzoo.keywords import explain_keywords
from lmzoo.runtime.sentence_piece_file.model import PieceType
from lmzoo.tokenizers.files.sentence_piece import (
    CLASSES,
    read_sentence_piece_files,
    write_sentence_piece_files,
)
from lmzoo.tokenizers.sentence_piece.decoder import SentencePieceDecoder
from lmzoo.tokenizers.sentence_piece.encoder import PREPEND_SCHEMES, SentencePieceEncoder
from lmzoo.tokenizers.sentence_piece.training import train_sentence_pieces
from lmzoo.tokenizers.sentence_piece.vocabulary import SentencePieceVocabulary, check_no_sentinels
from lmzoo.tokenizers.tokenizer import ByteTokens, Tokenizer, read_text
from lmzoo.tokenizers.vocabulary import check_special_tokens

__all__ = ["SentencePieceTokenizer"]


class SentencePieceTokenizer(ByteTokens, Tokenizer):
    """Splits text into the pieces of a SentencePiece model, inside or outside of a graph.

    The ids are those of the sentencepiece library, and spaces are put where `prepend_scheme` says
    it. Where a unigram model has two equally probable ways to split a word ("l", "ll" and "ll",
    "l"), rounding decides, and each release of the library rounds in its own way.

    Hugging Face `tokenizers` differs from the sentencepiece library in four points, in which this
    class follows the library: it normalizes whole grapheme clusters and loses characters of some;
    it splits at U+0085; it takes U+2581 in a text for a space that is there already; and a unigram
    model with byte fallback gives the unknown id where the library gives bytes.

    Invalid UTF-8 is read as Python's `bytes.decode("utf-8", "replace")` reads it. Text never
    becomes a special token, but the unknown one, unless `allow_special` is given. The model is
    checked before the op sees any of it. The tokenizer is saved with the graph that uses it. A
    process that loads this graph needs tensorflow-text's ops: TensorFlow Serving has them, others
    `import tensorflow_text` first.

    `detokenize` drops the space before a text. What is not UTF-8, such as a truncated character,
    becomes U+FFFD, and the unknown token what the model says, as a rule " \u2047 ".

    Args:
        model: bytes. A SentencePiece model file, unigram or BPE.
        num_sentinels: int. How many sentinels stand behind the pieces, `<extra_id_0>` last. A model
            with sentinels of its own, as mT5's, takes their number or 0; they are known without the
            space before them.
        special_tokens: list of str. Tokens that are special beside the model's control pieces, its
            unknown piece and the sentinels.
        end_token: str or None. Stands behind a text.
        pad_token: str or None. Fills rows up; None falls back to `end_token`.
        unknown_token: str. Stands for characters without a piece.
        start_token: str or None. Stands before a prompt that is to be continued, see
            `tokenize_prompts`; None falls back to `pad_token`. It is not what the decoder of a
            `Seq2SeqLM` begins with, which is that task's own `start_token_id`.
        add_start_token: bool. Whether a prompt begins with the start token, as Llama 2's do.
        add_bos_and_eos: bool. If True, the files that `save` writes have a post-processor that adds
            the start and the end token, as XLM-RoBERTa's. `tokenize` adds neither.
        mask_token: str or None. Stands where a masked language model has to predict, as
            XLM-RoBERTa's `<mask>`. T5 has none: a sentinel stands for a whole span.
        prepend_scheme: str or None. Where a space is put before text that does not begin with one,
            as Hugging Face's Metaspace does it: "always" before a text and behind each special
            token in it, "first" before a text alone, "never" nowhere. None is the rule of the
            sentencepiece library: as the model says, and before a space too.
        tokenizer_class: str or None. The class of transformers for which `save` writes files:
            "T5Tokenizer", "LlamaTokenizer", "XLMRobertaTokenizer" or "PreTrainedTokenizerFast".
            None finds one that fits.
        added_tokens: list of str or AddedToken. Non-special tokens that are found in text before
            the model sees it, as those that `add_tokens` of transformers adds.
        extra_tokens: list of str. The tokens that stand behind the pieces and the sentinels, in
            the order of their ids. Each is in `special_tokens` or `added_tokens` too.
        lstrip, rstrip: list of str. The special tokens that match the white space before them, or
            behind them, too, as Phi-3's `<|end|>` does.
    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if the model is broken, or the arguments do not fit to it.
    Example:
    >>> tokenizer = SentencePieceTokenizer.train(
    ...     iter(["a cat, a hat, a cat"]), 20, "bpe", num_sentinels=2
    ... )
    >>> ids = tokenizer.tokenize(["a hat", "a <extra_id_0>"], allow_special=True)
    >>> [text.decode() for text in tokenizer.detokenize(ids, skip_special=False).numpy()]
    ['a hat', 'a<extra_id_0>']
    >>> tokenizer.sentinel_ids.tolist()
    [19, 18]

    Reference: Kudo 2018, https://arxiv.org/abs/1804.10959, for unigram models; Kudo and Richardson
    2018, https://arxiv.org/abs/1808.06226, for the library; Raffel et al. 2020,
    https://arxiv.org/abs/1910.10683, section 3.1.4, for sentinels.
    """

    standalone_kind = ("sentence_piece", "spiece.model")
    _fallback_roles = {"start_token": "pad_token", "pad_token": "end_token"}

    def __init__(
        self,
        model,
        num_sentinels=100,
        special_tokens=(),
        end_token="</s>",
        pad_token="<pad>",
        unknown_token="<unk>",
        start_token=None,
        add_start_token=False,
        add_bos_and_eos=False,
        mask_token=None,
        prepend_scheme=None,
        tokenizer_class=None,
        added_tokens=(),
        extra_tokens=(),
        lstrip=(),
        rstrip=(),
    ):
        vocabulary = SentencePieceVocabulary.build(
            model, num_sentinels, special_tokens, added_tokens, extra_tokens
        )
        roles = {"end_token": end_token, "pad_token": pad_token, "start_token": start_token}
        roles["mask_token"] = mask_token
        super().__init__("sentence_piece_tokenizer", vocabulary, roles)
        unknown = vocabulary.tokens[vocabulary.model.types.index(PieceType.UNKNOWN)]
        if unknown_token != unknown:
            raise ValueError(
                f"`unknown_token` must be {unknown!r:.80}, the unknown piece of the model. "
                f"Received: {unknown_token!r:.80}."
            )
        self.unknown_token = unknown_token
        self._check_strips(lstrip, rstrip)
        self.add_start_token = self._check_adds("add_start_token", add_start_token, "start_token")
        self.add_bos_and_eos = self._check_adds(
            "add_bos_and_eos", add_bos_and_eos, "start_token", "end_token"
        )
        self.prepend_scheme = _check_choice("prepend_scheme", prepend_scheme, PREPEND_SCHEMES)
        self.tokenizer_class = _check_choice("tokenizer_class", tokenizer_class, CLASSES)

    @classmethod
    @explain_keywords
    def train(
        cls,
        files_or_iterator,
        vocabulary_size,
        model_type="unigram",
        num_sentinels=None,
        byte_fallback=False,
        verbose=False,
        special_tokens=(),
    ):
        """Trains a tokenizer of T5's kind; the same text gives the same tokenizer.

        `<pad>`, `</s>` and `<unk>` are 0, 1 and 2. The text is normalised as T5's is (NFKC and some
        more), and no piece goes over a space. Needs the package sentencepiece.

        Args:
            files_or_iterator, verbose: as for `BytePairTokenizer.train`.
            vocabulary_size: int. How many tokens there may be, sentinels and the three included; a
                short text gives fewer.
            model_type: str. "unigram", as T5, or "bpe".
            num_sentinels: int or None. None for T5's 100, or a quarter of a `vocabulary_size` below
                200.
            byte_fallback: bool. If True, there is a piece for each byte, and no character is
                unknown.
            special_tokens: list of str. More special tokens, with the ids from 3 on.
        Returns:
            SentencePieceTokenizer.
        Raises:
            ImportError: if sentencepiece is not installed.
            TypeError: if `files_or_iterator` is neither, or `special_tokens` are not str.
            FileNotFoundError: if a file is not there.
            ValueError: if there is no text, a file is not text, `vocabulary_size` does not fit, or
                a special token is a sentinel or not to be found in text.
        """
        special_tokens = check_no_sentinels(check_special_tokens(special_tokens))
        if num_sentinels is None:
            is_small = type(vocabulary_size) is int and vocabulary_size < 200
            num_sentinels = max(0, vocabulary_size // 4) if is_small else 100
        if type(num_sentinels) is not int or num_sentinels < 0:
            raise ValueError(
                f"`num_sentinels` must be an int from 0 on. Received: {num_sentinels!r}."
            )
        fewest = 4 + 256 * bool(byte_fallback) + len(special_tokens)
        smallest = fewest + num_sentinels
        if type(vocabulary_size) is not int or vocabulary_size < smallest:
            raise ValueError(
                f"`vocabulary_size` must be an int of at least {smallest}: {num_sentinels} "
                f"sentinels and {smallest - num_sentinels} pieces. Received: {vocabulary_size!r}."
            )
        model = train_sentence_pieces(
            files_or_iterator,
            vocabulary_size - num_sentinels,
            model_type,
            byte_fallback,
            verbose,
            special_tokens,
        )
        return cls(model, num_sentinels)

    @classmethod
    def _read_files(cls, folder):
        return read_sentence_piece_files(folder)

    def _write_files(self, folder):
        write_sentence_piece_files(folder, self, self._vocabulary)

    @property
    def num_separators(self):
        """int. How many end tokens stand between the texts of a pair: T5's one, XLM-R's two."""
        return 2 if self.add_bos_and_eos else 1

    @property
    def sentinel_ids(self):
        """np.ndarray int32 (num_sentinels,). Those of `<extra_id_0>`, `<extra_id_1>` and so on."""
        return np.array(self._vocabulary.sentinel_ids, np.int32)

    @property
    def continues_word(self):
        """np.ndarray bool (V,). The ordinary ids that do not begin with a space."""
        special = set(self.special_tokens)
        return np.array(
            [token[0] != "\u2581" and token not in special for token in self._vocabulary.tokens]
        )

    def tokenize_continuation(self, text):
        puts_space = self._vocabulary.model.add_dummy_prefix
        if self.prepend_scheme is not None:
            puts_space = self.prepend_scheme != "never"
        if not puts_space:
            return self.tokenize(text)
        # Made anew each time: words to forbid are few, and models may be of many megabytes.
        model = dataclasses.replace(self._vocabulary.model, add_dummy_prefix=False)
        vocabulary = dataclasses.replace(self._vocabulary, model=model)
        encoder = SentencePieceEncoder(vocabulary)
        return encoder.encode(read_text(text))

    def detokenize_bytes(self, ids, skip_special=True):
        """As for all byte tokens; the space before the first piece stays."""
        return self._join(ids, skip_special, keeps_space=True)

    def detokenize_continuation(self, ids):
        return self._to_utf8(self.detokenize_bytes(ids))

    def _make_encoder(self):
        return SentencePieceEncoder(
            self._vocabulary, self.prepend_scheme, self._lstrip, self._rstrip
        )

    def _make_decoder(self):
        return SentencePieceDecoder(self._vocabulary, self.prepend_scheme)


def _check_choice(argument, value, choices):
    if value is not None and value not in choices:
        raise ValueError(
            f"`{argument}` must be None or one of {', '.join(map(repr, choices))}. "
            f"Received: {value!r:.80}."
        )
    return value
