"""From KerasHub's tokenizers to ours and back. Both give a text the ids of its vocabulary."""

import pathlib
import tempfile

from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

__all__ = ["convert_tokenizer", "make_tokenizer"]

_SENTINELS = 100


def convert_tokenizer(tokenizer, vocabulary_size):
    """Makes our tokenizer of one of KerasHub.

    Where KerasHub departs from the original, as in the cleaning of BERT's text, ours does not.

    Args:
        tokenizer: a tokenizer of KerasHub, or None.
        vocabulary_size: int. How many words the model has. T5's sentinels, which KerasHub leaves
            out, stand behind the pieces as far as there is room.
    Returns:
        A tokenizer of `lmzoo.tokenizers`, or None.
    Raises:
        ValueError: if it is of another kind.
    """
    if tokenizer is None:
        return None
    kind = type(tokenizer).__name__
    if kind in ("BertTokenizer", "DistilBertTokenizer"):
        return WordPieceTokenizer(list(tokenizer.vocabulary), lowercase=tokenizer.lowercase)
    if kind in ("GPT2Tokenizer", "RobertaTokenizer"):
        return _convert_byte_pairs(tokenizer, kind)
    if kind == "T5Tokenizer":
        room = vocabulary_size - tokenizer.vocabulary_size()
        return SentencePieceTokenizer(tokenizer.proto, min(_SENTINELS, max(room, 0)))
    raise ValueError(
        "`tokenizer` must be a BertTokenizer, DistilBertTokenizer, GPT2Tokenizer, RobertaTokenizer "
        f"or T5Tokenizer of KerasHub. Received: {kind}."
    )


def _convert_byte_pairs(tokenizer, kind):
    vocabulary = {token: int(index) for token, index in dict(tokenizer.vocabulary).items()}
    # A vocabulary out of files has their first line too.
    merges = [merge for merge in tokenizer.merges if not merge.startswith("#version")]
    if kind == "GPT2Tokenizer":
        return BytePairTokenizer(vocabulary, merges)
    special = ["<s>", "<pad>", "</s>", "<mask>"]
    roles = {"start_token": "<s>", "pad_token": "<pad>", "end_token": "</s>"}
    return BytePairTokenizer(
        vocabulary, merges, special, **roles, mask_token="<mask>", lstrip=["<mask>"]
    )


def make_tokenizer(keras_hub, family, tokenizer):
    """Makes KerasHub's tokenizer of one of ours.

    Args:
        keras_hub: the module.
        family: str. KerasHub's backbone, such as "BertBackbone".
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None.
    Returns:
        A tokenizer of KerasHub, or None.
    Raises:
        ValueError: if it splits text otherwise than GPT-2 does.
    """
    if tokenizer is None:
        return None
    if getattr(tokenizer, "pattern", "gpt2") != "gpt2":
        raise ValueError(
            "`tokenizer` must split text as KerasHub's of GPT-2 and RoBERTa do. Received: "
            f"pattern={tokenizer.pattern!r}."
        )
    kind = getattr(keras_hub.models, family.replace("Backbone", "Tokenizer"))
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save(name)
        folder = pathlib.Path(name)
        if isinstance(tokenizer, WordPieceTokenizer):
            return kind(vocabulary=str(folder / "vocab.txt"), lowercase=tokenizer.lowercase)
        if isinstance(tokenizer, BytePairTokenizer):
            files = {"vocabulary": folder / "vocab.json", "merges": folder / "merges.txt"}
            return kind(**{name: str(path) for name, path in files.items()})
        return kind(proto=(folder / "spiece.model").read_bytes())
