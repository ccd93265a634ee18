"""XLM-RoBERTa: a RoBERTa with a multilingual SentencePiece vocabulary.

The backbone of multilingual E5, BGE-M3 and many rerankers.
"""

import dataclasses

from lmzoo.hub.families import roberta
from lmzoo.hub.families.bert import LARGE_SIZES
from lmzoo.hub.families.family import PublishedModel

__all__ = ["FAMILIES"]

# transformers' own default is that of BERT.
_VOCABULARY_SIZE = 30522


def _read_arguments(config):
    return roberta.read_arguments({"vocab_size": _VOCABULARY_SIZE, **config})


def _published(place, num_parameters, **config):
    fixed = {
        "vocab_size": 250002,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }
    values = (f"hf://{place}", "xlm-roberta", "MaskedLM", num_parameters, "mit")
    return PublishedModel(*values, {**fixed, **config})


FAMILIES = (
    dataclasses.replace(
        roberta.FAMILIES[0],
        classes={"xlm-roberta": "XLMRoberta"},
        read_arguments=_read_arguments,
        tokenizers=("SentencePieceTokenizer",),
        keras_hub=None,
        published={
            "xlm-roberta-base": _published("FacebookAI/xlm-roberta-base", 277_453_056),
            "xlm-roberta-large": _published(
                "FacebookAI/xlm-roberta-large", 558_840_832, **LARGE_SIZES
            ),
        },
    ),
)
