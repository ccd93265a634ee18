"""The WordPiece tokenizer: BERT's, DistilBERT's, ELECTRA's and many others'."""

import numpy as np

from lmzoo.keywords import explain_keywords
from lmzoo.tokenizers.files.word_piece import ROLES, read_word_piece_files, write_word_piece_files
from lmzoo.tokenizers.tokenizer import Tokenizer, check_num_separators
from lmzoo.tokenizers.training import train_word_pieces
from lmzoo.tokenizers.vocabulary import check_special_tokens
from lmzoo.tokenizers.word_piece.decoder import WordPieceDecoder
from lmzoo.tokenizers.word_piece.encoder import WordPieceEncoder
from lmzoo.tokenizers.word_piece.vocabulary import WordPieceVocabulary

__all__ = ["WordPieceTokenizer"]

_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# A walk down the trie of tokens starts at every character and takes up to so many steps.
_MAX_CHARACTERS = 1000


class WordPieceTokenizer(Tokenizer):
    """Splits text into words, and words into tokens (WordPiece), inside or outside of a graph.

    A word is split longest-match-first: it becomes the longest token that it begins with, then the
    longest one with the continuing-subword prefix that the rest begins with, and so on.

    The ids are those of Hugging Face `tokenizers` with BERT's settings, for every Unicode text;
    invalid UTF-8 is read as Python's `bytes.decode("utf-8", "replace")` reads it. Text never
    becomes a special token, the unknown one excepted, unless `allow_special` is given. All tables
    are immutable: as an attribute of a `tf.Module` or a Keras model the tokenizer is saved with its
    graph.

    `detokenize` puts spaces between words, and none before `.`, `?`, `!`, `,` and English
    contractions, as Hugging Face's decoder with `cleanup`. The case, accents and spacing of the
    original text are lost.

    Args:
        vocabulary: list of str by id, or dict of str to int. V tokens, special and added ones
            among them; the ids are 0 to V - 1.
        lowercase: bool. If True, text is lowercased, character by character.
        strip_accents: bool or None. If True, text is decomposed (NFD) and its non-spacing marks are
            deleted. None means: as `lowercase`.
        split_chinese: bool. If True, each Chinese character is a word.
        special_tokens: list of str. The tokens that no text makes by itself.
        unknown_token: str. Stands for a word that the tokens do not make.
        start_token: str or None. Stands before a text.
        end_token: str or None. Stands behind a text, and between two.
        pad_token: str or None. Fills rows up.
        mask_token: str or None. Stands where a masked language model has to predict.
        max_word_characters: int. Longer words are unknown.
        prefix: str. The continuing-subword prefix: what tokens behind the first one of a word begin
            with.
        added_tokens: list of str or AddedToken. The non-special added tokens, which are ordinary
            text that is always one token.
        num_separators: int. How many end tokens stand between the two texts of a pair: 1 for BERT,
            2 for MPNet.
        pre_tokenizer: str. How text is split into words: "bert" (at white space, and each
            punctuation mark is a word; control characters are deleted) or "whitespace" (runs of
            letters, digits and underscores, and runs of other characters), where `split_chinese`
            must be False, and `strip_accents` deletes spacing marks too.
    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if vocabulary and special tokens do not fit together.
    Example:
    >>> tokenizer = WordPieceTokenizer(
    ...     ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "caf", "##e", "!"]
    ... )
    >>> tokenizer.tokenize(["Unable!", "CAFÉ"]).to_list()
    [[5, 6, 9], [7, 8]]
    >>> tokenizer.detokenize([[5, 6, 9]]).numpy().tolist()
    [b'unable!']

    Reference: Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 4.1, for the tokens; Devlin
    et al. 2019, https://arxiv.org/abs/1810.04805, for the normalizer and the pre-tokenization.
    """

    standalone_kind = ("word_piece", "tokenizer.json")
    add_bos_and_eos = True

    def __init__(
        self,
        vocabulary,
        lowercase=True,
        strip_accents=None,
        split_chinese=True,
        special_tokens=_SPECIAL_TOKENS,
        unknown_token="[UNK]",
        start_token="[CLS]",
        end_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        max_word_characters=100,
        prefix="##",
        added_tokens=(),
        num_separators=1,
        pre_tokenizer="bert",
    ):
        vocabulary = WordPieceVocabulary.build(vocabulary, special_tokens, prefix, added_tokens)
        roles = {"unknown_token": unknown_token, "start_token": start_token}
        roles |= {"end_token": end_token, "pad_token": pad_token, "mask_token": mask_token}
        super().__init__("word_piece_tokenizer", vocabulary, roles)
        if unknown_token is None:
            raise ValueError("`unknown_token` must be a special token. Received: None.")
        if type(max_word_characters) is not int or not 0 < max_word_characters <= _MAX_CHARACTERS:
            raise ValueError(
                f"`max_word_characters` must be an int from 1 to {_MAX_CHARACTERS}. "
                f"Received: {max_word_characters!r:.40}."
            )
        self.lowercase = _check_bool("lowercase", lowercase)
        self.strip_accents = _check_bool("strip_accents", strip_accents, or_none=True)
        self.split_chinese = _check_bool("split_chinese", split_chinese)
        self.max_word_characters = max_word_characters
        self.prefix = prefix
        self.num_separators = check_num_separators(num_separators)
        if pre_tokenizer not in ("bert", "whitespace"):
            raise ValueError(
                f"`pre_tokenizer` must be 'bert' or 'whitespace'. Received: {pre_tokenizer!r:.80}."
            )
        if pre_tokenizer == "whitespace" and split_chinese:
            raise ValueError(
                "`split_chinese` must be False with pre_tokenizer='whitespace'. Received: True."
            )
        self.pre_tokenizer = pre_tokenizer

    @classmethod
    @explain_keywords
    def train(
        cls,
        files_or_iterator,
        vocabulary_size,
        special_tokens=_SPECIAL_TOKENS,
        lowercase=True,
        verbose=False,
    ):
        """Trains a tokenizer; the same text gives the same tokenizer.

        Args:
            files_or_iterator, verbose: as for `BytePairTokenizer.train`.
            vocabulary_size: int. How many tokens there may be, special ones included; a short
                text gives fewer.
            special_tokens: list of str. They take the first ids. "[UNK]" must be among them;
                "[PAD]", "[CLS]", "[SEP]" and "[MASK]" take their roles if they are.
            lowercase: bool. If True, text is lowercased and its accents are stripped.
        Returns:
            WordPieceTokenizer.
        Raises:
            TypeError, FileNotFoundError, ValueError: as `BytePairTokenizer.train`. ValueError also
                if "[UNK]" is missing.
        """
        special_tokens = check_special_tokens(special_tokens)
        if "[UNK]" not in special_tokens:
            raise ValueError(
                f"`special_tokens` must hold '[UNK]'. Received: {list(special_tokens)!r:.200}."
            )
        _check_bool("lowercase", lowercase)
        vocabulary = train_word_pieces(
            files_or_iterator, vocabulary_size, special_tokens, lowercase, verbose
        )
        roles = {
            role: token if token in special_tokens else None for role, (_, token) in ROLES.items()
        }
        return cls(vocabulary, lowercase, special_tokens=special_tokens, **roles)

    @classmethod
    def _read_files(cls, folder):
        return read_word_piece_files(folder)

    def _write_files(self, folder):
        write_word_piece_files(folder, self, self._vocabulary)

    @property
    def continues_word(self):
        """np.ndarray bool (V,). Which ids continue a word that began before them."""
        continuing = set(self._vocabulary.continuing_tokens.values())
        return np.array([index in continuing for index in range(self.vocabulary_size)])

    def _make_encoder(self):
        strip_accents = self.lowercase if self.strip_accents is None else self.strip_accents
        normalizer = {"lowercase": self.lowercase, "strip_accents": strip_accents}
        if self.pre_tokenizer == "bert":
            normalizer["split_chinese"] = self.split_chinese
        return WordPieceEncoder(
            self._vocabulary,
            self.unknown_token_id,
            self.max_word_characters,
            self.pre_tokenizer,
            normalizer,
        )

    def _make_decoder(self):
        return WordPieceDecoder(self._vocabulary)


def _check_bool(argument, value, or_none=False):
    if type(value) is not bool and not (or_none and value is None):
        kinds = "True, False or None" if or_none else "True or False"
        raise TypeError(f"`{argument}` must be {kinds}. Received: {value!r:.80}.")
    return value
