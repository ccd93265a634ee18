"""XLM-RoBERTa: a RoBERTa with a multilingual SentencePiece vocabulary.

The backbone of multilingual E5, BGE-M3 and many rerankers.
"""

from lmzoo.hub.families.bert import LARGE_SIZES, make_encoder_family
from lmzoo.hub.families.family import PublishedModel
from lmzoo.hub.families.roberta import (
    HEADS,
    counts_positions,
    make_config,
    masked_lm_head,
    read_arguments,
)

__all__ = ["FAMILIES"]

# transformers' own default is that of BERT.
_VOCABULARY_SIZE = 30522


def _read_arguments(config):
    return read_arguments({"vocab_size": _VOCABULARY_SIZE, **config})


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
    make_encoder_family(
        classes={"xlm-roberta": "XLMRoberta"},
        heads=HEADS,
        prefix="roberta.",
        read_arguments=_read_arguments,
        make_config=make_config,
        tokenizers=("SentencePieceTokenizer",),
        accepts=counts_positions,
        masked_lm_head=masked_lm_head,
        published={
            "xlm-roberta-base": _published("FacebookAI/xlm-roberta-base", 277_453_056),
            "xlm-roberta-large": _published(
                "FacebookAI/xlm-roberta-large", 558_840_832, **LARGE_SIZES
            ),
        },
    ),
)
