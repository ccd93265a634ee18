"""The ids of XLM-RoBERTa, which its model file numbers in another way."""

import dataclasses

from lmzoo.runtime.sentence_piece_file.model import PieceType, SentencePieceModel
from lmzoo.tokenizers.files.unigram_json import can_be_unigram_json

__all__ = ["is_xlm_roberta", "number_as_file", "number_as_xlm_roberta"]

# Its first tokens by id.
_START = ("<s>", "<pad>", "</s>", "<unk>")


def is_xlm_roberta(vocabulary):
    """Says whether the ids are XLM-RoBERTa's, so that its class of transformers reads them."""
    model = vocabulary.model
    return (
        model.pieces[: len(_START)] == _START
        and model.pieces[-1] == "<mask>"
        and not vocabulary.sentinel_ids
        and can_be_unigram_json(vocabulary)
    )


def number_as_xlm_roberta(path, data):
    """Gives the pieces of a model file the ids of XLM-RoBERTa.

    These are `<s> <pad> </s> <unk>`, then all pieces but the first three, then `<mask>`.
    """
    try:
        model = SentencePieceModel.parse(data)
    except ValueError:
        # The tokenizer says what is wrong with it.
        return data
    if sorted(model.pieces[:3]) != ["</s>", "<s>", "<unk>"]:
        raise ValueError(
            f"{path.name} must begin with the pieces <unk>, <s> and </s>, as XLM-RoBERTa's. "
            f"Received: {str(path)!r} with {list(model.pieces[:3])!r:.80}."
        )
    names = (*_START, "<mask>")
    types = [PieceType.UNKNOWN if name == "<unk>" else PieceType.CONTROL for name in names]
    return dataclasses.replace(
        model,
        pieces=(*names[:-1], *model.pieces[3:], names[-1]),
        scores=(*[0.0] * 4, *model.scores[3:], 0.0),
        types=(*types[:-1], *model.types[3:], types[-1]),
    ).serialize()


def number_as_file(vocabulary):
    """Undoes `number_as_xlm_roberta`: the bytes of a model file."""
    model = vocabulary.model
    control = PieceType.CONTROL
    return dataclasses.replace(
        model,
        pieces=("<unk>", "<s>", "</s>", *model.pieces[4:-1]),
        scores=(*[0.0] * 3, *model.scores[4:-1]),
        types=(PieceType.UNKNOWN, control, control, *model.types[4:-1]),
    ).serialize()
