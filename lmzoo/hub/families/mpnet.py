"""MPNet: a RoBERTa without segments, with a relative position bias that all blocks share.

The backbone of all-mpnet-base-v2 and many other sentence embedders.
"""

import dataclasses

from lmzoo.hub.families import bert
from lmzoo.hub.families.family import PublishedModel
from lmzoo.hub.families.roberta import HEADS, masked_lm_head
from lmzoo.hub.files.config_validation import read_fields, read_size, write_fields

__all__ = ["FAMILIES"]

_FIELDS = bert.make_fields(
    **bert.make_size_fields(vocabulary_size=("vocab_size", 30527)),
    num_segments=None,
)
# transformers' MPNet computes with these, whatever its config says.
_PADDING, _NUM_BUCKETS, _MAX_DISTANCE = 1, 32, 128
_BLOCK = {
    "self_attention/query_key_value": ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    "self_attention/output": ("attention.attn.o",),
    "self_attention_norm": ("attention.LayerNorm",),
    **bert.FEED_FORWARD_MODULES,
}


def _read_arguments(config):
    bert.check_encoder(config)
    read_size(
        config, "relative_attention_num_buckets", _NUM_BUCKETS, _NUM_BUCKETS, lowest=_NUM_BUCKETS
    )
    arguments = read_fields(config, _FIELDS)
    length = read_size(
        config, "max_position_embeddings", 512, bert.MAX_SIZES["max_sequence_length"], lowest=3
    )
    return {
        **arguments,
        "max_sequence_length": length - (_PADDING + 1),
        "position_offset": _PADDING + 1,
        "num_segments": 0,
        "relative_attention": True,
        "num_buckets": _NUM_BUCKETS,
        "max_distance": _MAX_DISTANCE,
    }


def _make_config(backbone, model_type):
    config = {
        "model_type": model_type,
        "attention_probs_dropout_prob": backbone.dropout,
        **write_fields(backbone, _FIELDS),
        "relative_attention_num_buckets": backbone.num_buckets,
        "pad_token_id": _PADDING,
    }
    config["max_position_embeddings"] += backbone.position_offset
    return config


def _make_modules(arguments):
    body = {"relative_position_bias": ("encoder.relative_attention_bias",)}
    return bert.make_modules(arguments, body, block=_BLOCK)


def _counts_positions(task, model_type):
    """Whether the positions of a text are the same in transformers: see `roberta`."""
    tokenizer = task.tokenizer
    return tokenizer is None or tokenizer.pad_token_id == _PADDING


FAMILIES = (
    bert.make_encoder_family(
        classes={"mpnet": "MPNet"},
        # RoBERTa's, with no key of their own for the dropout.
        heads={task: dataclasses.replace(head, dropout_key=None) for task, head in HEADS.items()},
        read_arguments=_read_arguments,
        make_config=_make_config,
        modules=_make_modules,
        accepts=_counts_positions,
        masked_lm_head=masked_lm_head,
        published={
            "mpnet-base": PublishedModel(
                "hf://microsoft/mpnet-base",
                *("mpnet", "MaskedLM", 108_895_872, "mit"),
                {"max_position_embeddings": 514, "layer_norm_eps": 1e-5},
            ),
        },
    ),
)
