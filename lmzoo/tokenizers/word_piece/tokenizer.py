"""The WordPiece tokenizer: BERT's, DistilBERT's, ELECTRA's and many others'."""

import numpy as np

from lmzoo.tokenizers.files.word_piece import ROLES, read_word_piece_files, write_word_piece_files
from lmzoo.tokenizers.tokenizer import Tokenizer
from lmzoo.tokenizers.training import train_word_pieces
from lmzoo.tokenizers.vocabulary import check_special_tokens
from lmzoo.tokenizers.word_piece.decoder import WordPieceDecoder
from lmzoo.tokenizers.word_piece.encoder import WordPieceEncoder
from lmzoo.tokenizers.word_piece.vocabulary import WordPieceVocabulary

__all__ = ["WordPieceTokenizer"]

_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# A walk down the tree of pieces starts at every character and takes up to so many steps.
_MAX_CHARACTERS = 1000


class WordPieceTokenizer(Tokenizer):
    """Cuts the words of a text into pieces of a vocabulary, inside or outside of a graph.

    The ids are those of Hugging Face `tokenizers` with BERT's settings, for every Unicode text;
    invalid UTF-8 is read as Python's `bytes.decode("utf-8", "replace")` reads it. No special token
    but the unknown one comes out of text unless `allow_special=True`. All tables are immutable: as
    an attribute of a `tf.Module` or a Keras model the tokenizer is saved with its graph.

    Args:
        vocabulary: list of str by id, or dict of str to int. V tokens, the special ones among
            them; the ids are 0 to V - 1.
        lowercase: bool. If True, text is lowered, character by character.
        strip_accents: bool or None. If True, text is decomposed and its non-spacing marks go. None
            means: as `lowercase`.
        split_chinese: bool. If True, each Chinese character is a word.
        special_tokens: list of str. The tokens that no text makes.
        unknown_token: str. Stands for a word that the pieces do not make.
        start_token: str or None. Stands before a text.
        end_token: str or None. Stands behind a text, and between two.
        pad_token: str or None. Fills rows up.
        mask_token: str or None. Stands where a masked model shall guess.
        max_word_characters: int. Longer words are unknown.
        prefix: str. What the pieces behind the first one of a word begin with.
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

    Reference: Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 4.1, for the pieces; Devlin
    et al. 2019, https://arxiv.org/abs/1810.04805, for the cleaning of text.
    """

    # BERT puts one end token between the texts of a pair.
    num_separators = 1
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
    ):
        vocabulary = WordPieceVocabulary.build(vocabulary, special_tokens, prefix)
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

    @classmethod
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
            files_or_iterator: list of str or paths: files of UTF-8 text. An iterator: texts.
            vocabulary_size: int. How many tokens there may be, special ones included; a short
                text gives fewer.
            special_tokens: list of str. They take the first ids. "[UNK]" must be among them;
                "[PAD]", "[CLS]", "[SEP]" and "[MASK]" take their roles if they are.
            lowercase: bool. If True, text is lowered and loses its accents.
            verbose: bool. If True, progress is shown on the terminal.
        Returns:
            WordPieceTokenizer.
        Raises:
            TypeError: if `files_or_iterator` is neither.
            FileNotFoundError: if a file is not there.
            ValueError: if there is no text, a file is not text, or `vocabulary_size` is too small.
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
        """np.ndarray bool (V,). The ids that go on with a word that began before them."""
        further = set(self._vocabulary.further_pieces.values())
        return np.array([index in further for index in range(self.vocabulary_size)])

    def detokenize(self, ids, skip_special=True):
        """Turns ids into text: pieces glued together, words separated by spaces.

        There is no space before `.`, `?`, `!`, `,` and English contractions, as in Hugging Face's
        decoder with `cleanup`. Case, accents and other spacing are gone for good.

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
        return self._join(ids, skip_special)

    def _make_encoder(self):
        strip_accents = self.lowercase if self.strip_accents is None else self.strip_accents
        cleaning = {
            "lowercase": self.lowercase,
            "strip_accents": strip_accents,
            "split_chinese": self.split_chinese,
        }
        return WordPieceEncoder(
            self._vocabulary, self.unknown_token_id, self.max_word_characters, cleaning
        )

    def _make_decoder(self):
        return WordPieceDecoder(self._vocabulary)


def _check_bool(argument, value, or_none=False):
    if type(value) is not bool and not (or_none and value is None):
        kinds = "True, False or None" if or_none else "True or False"
        raise TypeError(f"`{argument}` must be {kinds}. Received: {value!r:.80}.")
    return value
