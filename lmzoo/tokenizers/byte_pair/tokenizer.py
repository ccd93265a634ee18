"""The byte-level byte-pair tokenizer: GPT-2's, RoBERTa's, Llama 3's, Qwen2's and many others'."""

import numpy as np
import tensorflow as tf

from lmzoo.keywords import explain_keywords
from lmzoo.tokenizers.byte_pair.encoder import BytePairEncoder
from lmzoo.tokenizers.byte_pair.vocabulary import BytePairVocabulary
from lmzoo.tokenizers.files.byte_pair import read_files, write_files
from lmzoo.tokenizers.graphs import check_ids
from lmzoo.tokenizers.ragged_rows import find_segments
from lmzoo.tokenizers.tokenizer import ByteTokens, Tokenizer, check_num_separators
from lmzoo.tokenizers.training import train_byte_pairs
from lmzoo.tokenizers.unicode.split_patterns import check_pattern
from lmzoo.tokenizers.vocabulary import check_special_tokens

__all__ = ["BytePairTokenizer"]


class BytePairTokenizer(ByteTokens, Tokenizer):
    """Turns any text into ids and back, inside or outside of a graph.

    The ids are those of Hugging Face `tokenizers` with the same settings, for every Unicode text;
    invalid UTF-8 is read as Python's `bytes.decode("utf-8", "replace")` reads it. Text never
    becomes a special token unless `allow_special` is given. All tables are immutable: as an
    attribute of a `tf.Module` or a Keras model the tokenizer is saved with its graph. In
    `detokenize`, what is not UTF-8, such as a truncated character, becomes U+FFFD.

    Args:
        vocabulary: dict of str to int. V tokens in the byte-level alphabet of a GPT-2
            `vocab.json`, special and added tokens among them; the ids are 0 to V - 1.
        merges: list of (left, right) tokens or of "left right" strings, first to last.
        special_tokens: list of str. The tokens that no text makes by itself.
        end_token: str or None. Stands behind a text.
        start_token: str or None. Stands before a text; None falls back to `end_token`.
        pad_token: str or None. Fills rows up; None falls back to `end_token`.
        mask_token: str or None. Stands where a masked language model has to predict.
        lstrip: list of str. The special tokens that match the white space before them too, as
            RoBERTa's `<mask>` does. It matters where `allow_special` is given.
        pattern: str. The pre-tokenization, which splits text into words that are never merged: a
            key of `lmzoo.tokenizers.unicode.split_patterns.PATTERNS`, such as "gpt2", "llama3" or
            "qwen2".
        ignore_merges: bool. If True, a word that is a token is that token even where the merges
            would not make it, as in Llama 3.
        add_start_token: bool. Whether a prompt begins with the start token, as Llama 3's do.
        added_tokens: list of str or AddedToken. The non-special added tokens, as Qwen2.5's
            `<tool_call>`, which are ordinary text that is always one token.
        normalize_nfc: bool. If True, text is normalized to NFC first, as in Qwen2; it comes back
            normalized.
        add_bos_and_eos: bool. If True, the files that `save` writes have a post-processor that adds
            the start and the end token, as RoBERTa's. `tokenize` adds neither.
        add_prefix_space: bool. If True, a space is put before text that does not begin with one.
        unknown_token: str or None. Stands for a byte that the vocabulary does not have. Most
            vocabularies have all 256; if None, a byte that is missing is left out.
        num_separators: int. How many end tokens stand between the two texts of a pair: 2 for
            RoBERTa, 1 for ModernBERT.
        rstrip: list of str. The special tokens that match the white space behind them too, as
            Phi-4's `<|im_start|>` does.
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

    standalone_kind = ("byte_pair", "tokenizer.json")
    _fallback_roles = {"start_token": "end_token", "pad_token": "end_token"}

    def __init__(
        self,
        vocabulary,
        merges,
        special_tokens=("<|endoftext|>",),
        end_token="<|endoftext|>",
        start_token=None,
        pad_token=None,
        mask_token=None,
        lstrip=(),
        pattern="gpt2",
        ignore_merges=False,
        add_start_token=False,
        added_tokens=(),
        normalize_nfc=False,
        add_bos_and_eos=False,
        add_prefix_space=False,
        unknown_token=None,
        num_separators=2,
        rstrip=(),
    ):
        vocabulary = BytePairVocabulary.build(vocabulary, merges, special_tokens, added_tokens)
        roles = {"end_token": end_token, "start_token": start_token, "pad_token": pad_token}
        roles |= {"mask_token": mask_token, "unknown_token": unknown_token}
        super().__init__("byte_pair_tokenizer", vocabulary, roles)
        self._check_strips(lstrip, rstrip)
        self.pattern = check_pattern(pattern)
        self.ignore_merges = bool(ignore_merges)
        self.normalize_nfc = bool(normalize_nfc)
        self.add_start_token = self._check_adds("add_start_token", add_start_token, "start_token")
        self.add_bos_and_eos = self._check_adds(
            "add_bos_and_eos", add_bos_and_eos, "start_token", "end_token"
        )
        self.add_prefix_space = bool(add_prefix_space)
        self.num_separators = check_num_separators(num_separators)

    @classmethod
    @explain_keywords
    def train(
        cls, files_or_iterator, vocabulary_size, special_tokens=("<|endoftext|>",), verbose=False
    ):
        """Trains a tokenizer; the same text gives the same tokenizer.

        Args:
            files_or_iterator: str, path, or list of these: files of UTF-8 text, or of JSON lines
                with a "text" each (`.jsonl`), both also gzipped (`.gz`). An iterator: texts.
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
        learned = train_byte_pairs(files_or_iterator, vocabulary_size, special_tokens, verbose)
        return cls(*learned, special_tokens, special_tokens[0] if special_tokens else None)

    @classmethod
    def _read_files(cls, folder):
        return read_files(folder)

    def _write_files(self, folder):
        write_files(folder, self, self._vocabulary, self._lstrip, self._rstrip)

    @property
    def continues_word(self):
        """np.ndarray bool (V,). Which ids continue a word, by themselves.

        These are the ordinary tokens that do not begin with white space. It is a property of ids
        only: at the start of a text or behind a punctuation mark such a token begins a word.
        """
        pieces = self._vocabulary.pieces
        return np.array([bool(piece) and not piece[:1].isspace() for piece in pieces])

    def _make_encoder(self):
        return BytePairEncoder(
            self._vocabulary,
            self._lstrip,
            self._rstrip,
            self.pattern,
            self.ignore_merges,
            self.normalize_nfc,
            self.add_prefix_space,
            self.unknown_token_id,
        )

    def _make_decoder(self):
        return _Decoder(self._vocabulary)


class _Decoder(tf.Module):
    """Puts the bytes of tokens together.

    Args:
        vocabulary: BytePairVocabulary.
    """

    def __init__(self, vocabulary):
        super().__init__(name="byte_pair_decoder")
        names = [token.encode() for token in vocabulary.tokens]
        pairs = list(zip(vocabulary.pieces, names, strict=True))
        with tf.init_scope(), tf.device("/CPU:0"):
            self._pieces = tf.constant([name if piece is None else piece for piece, name in pairs])
            added = {token.content.encode() for token in vocabulary.added_tokens}
            self._plain_pieces = tf.constant(
                [piece or (name if name in added else b"") for piece, name in pairs]
            )

    def join(self, ids, skip_special):
        """Ids (B, T), dense or ragged, to bytes, string (B,)."""
        table = self._plain_pieces if skip_special else self._pieces
        size = table.shape[0]
        if not isinstance(ids, tf.RaggedTensor):
            return tf.strings.reduce_join(tf.gather(table, check_ids(ids, size)), axis=-1)
        texts = tf.gather(table, check_ids(ids.values, size))
        return tf.strings.unsorted_segment_join(texts, find_segments(ids.row_splits), ids.nrows())
