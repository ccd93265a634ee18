"""RoBERTa: a BERT whose positions begin behind the padding token's id, with byte-pair encoding."""

from lmzoo.hub.families import bert
from lmzoo.hub.families.family import KerasHubClass, PublishedModel
from lmzoo.hub.families.head import Head, make_masked_lm_head, make_token_heads
from lmzoo.hub.files.config_validation import read_choice, read_fields, write_fields

__all__ = [
    "FAMILIES",
    "HEADS",
    "counts_positions",
    "make_config",
    "masked_lm_head",
    "read_arguments",
    "shift_positions",
]

_FIELDS = bert.make_fields(
    **bert.make_size_fields(vocabulary_size=("vocab_size", 50265)),
)
_EMBEDDINGS = "embeddings.word_embeddings.weight"
HEADS = {
    "MaskedLM": make_masked_lm_head(
        *("lm_head.dense", "lm_head.layer_norm", "lm_head"),
        tied={"lm_head.decoder.weight": _EMBEDDINGS, "lm_head.decoder.bias": "lm_head.bias"},
    ),
    "TextClassifier": Head(
        endings=("ForSequenceClassification",),
        modules={"head/hidden": ("classifier.dense",), "head/output": ("classifier.out_proj",)},
        hidden_activation="tanh",
        dropout_key="classifier_dropout",
    ),
    **make_token_heads("classifier_dropout"),
}


def read_arguments(config):
    """The arguments of `BertBackbone` for a config with RoBERTa's keys."""
    bert.check_encoder(config)
    return shift_positions(config, read_fields(config, _FIELDS))


def shift_positions(config, arguments):
    """Arguments in which positions begin behind the padding's id: the table has rows before them.

    Raises:
        ValueError: if `pad_token_id` is none of the positions.
    """
    highest = arguments["max_sequence_length"] - 2
    pad = config.get("pad_token_id", 1)
    if type(pad) is not int or not 0 <= pad <= highest:
        raise ValueError(
            f"`pad_token_id` must be an integer from 0 to {highest}, since positions begin behind "
            f"it. Received: pad_token_id={pad!r:.80}."
        )
    length = arguments["max_sequence_length"] - (pad + 1)
    return {**arguments, "position_offset": pad + 1, "max_sequence_length": length}


def make_config(backbone, model_type):
    """The config.json of a `BertBackbone` with RoBERTa's keys, as a dict."""
    config = {
        "model_type": model_type,
        "attention_probs_dropout_prob": backbone.dropout,
        **write_fields(backbone, _FIELDS),
        "pad_token_id": backbone.position_offset - 1,
    }
    config["max_position_embeddings"] += backbone.position_offset
    return config


def masked_lm_head(config, arguments):
    """What `MaskedLMHead` is built with: the head has the exact gelu, whatever the blocks have."""
    read_choice(config, "hidden_act", "gelu", ("gelu",))
    return {name: arguments[name] for name in ("vocabulary_size", "activation", "norm_epsilon")}


def counts_positions(task, model_type):
    """Whether the positions of a text are the same in transformers.

    There they begin behind the padding's id, and that id has none, wherever it stands: it must be
    one that no text and no post-processor gives.
    """
    tokenizer, pad = task.tokenizer, task.backbone.position_offset - 1
    if tokenizer is None or not 0 <= pad < tokenizer.vocabulary_size:
        return True
    names = ("unknown_token_id", "start_token_id", "end_token_id", "mask_token_id")
    is_given = pad in [getattr(tokenizer, name, None) for name in names]
    return tokenizer.id_to_token(pad) in tokenizer.special_tokens and not is_given


def _read_keras_hub(backbone):
    # KerasHub's has no rows before its first position; transformers' has two.
    return {"position_offset": 2, "num_segments": 1, "norm_epsilon": 1e-5, "pooler": False}


def _make_keras_hub(backbone):
    from lmzoo.hub.keras_hub.checks import check_common, check_only

    check_common(backbone)
    if backbone.num_segments:
        check_only(backbone, num_segments=1)
    check_only(backbone, norm_epsilon=1e-5, pooler=False, activation="gelu")
    return {"max_sequence_length": backbone.max_sequence_length}


def _published(place, num_parameters, **config):
    # Two positions lie before the first token's.
    fixed = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    values = (f"hf://{place}", "roberta", "MaskedLM", num_parameters, "mit", {**fixed, **config})
    return PublishedModel(*values)


FAMILIES = (
    bert.make_encoder_family(
        classes={"roberta": "Roberta"},
        heads=HEADS,
        read_arguments=read_arguments,
        make_config=make_config,
        tokenizers=("BytePairTokenizer",),
        accepts=counts_positions,
        masked_lm_head=masked_lm_head,
        keras_hub=KerasHubClass(
            name="RobertaBackbone",
            read_arguments=_read_keras_hub,
            make_arguments=_make_keras_hub,
            fits=lambda backbone: bool(backbone.position_offset),
            position_rows=2,
        ),
        published={
            "roberta-base": _published("FacebookAI/roberta-base", 124_055_040),
            "roberta-large": _published(
                "FacebookAI/roberta-large", 354_310_144, **bert.LARGE_SIZES
            ),
        },
    ),
)
