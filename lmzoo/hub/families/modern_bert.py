"""ModernBERT: rotary positions, gated feed-forwards, and local attention in most blocks."""

from lmzoo.hub.families.bert import (
    ACTIVATIONS,
    MAX_SIZES,
    dense_shapes,
    make_fields,
    make_size_fields,
    norm_shapes,
)
from lmzoo.hub.families.family import Family, PublishedModel, find_backbone, place_blocks
from lmzoo.hub.families.head import Head, make_masked_lm_head
from lmzoo.hub.files.config_validation import (
    check_fixed,
    choice_field,
    number_field,
    read_choice,
    read_fields,
    read_number,
    read_size,
    size_field,
    write_fields,
)

__all__ = ["FAMILIES"]

_FIELDS = make_fields(
    **make_size_fields(
        vocabulary_size=("vocab_size", 50368),
        num_layers=("num_hidden_layers", 22),
        intermediate_dim=("intermediate_size", 1152),
        max_sequence_length=("max_position_embeddings", 8192),
    ),
    num_segments=None,
    local_attention=size_field("local_attention", MAX_SIZES["max_sequence_length"], 128, 2),
    activation=choice_field("hidden_activation", "gelu", ACTIVATIONS),
    # The rates of embeddings and attention weights are the same one here.
    dropout=number_field("mlp_dropout", 0, 0.999, 0.0),
    norm_epsilon=number_field("norm_eps", 0, 1, 1e-5),
)
_FULL, _SLIDING = "full_attention", "sliding_attention"
_SPECIAL_IDS = (
    *("pad_token_id", "bos_token_id", "eos_token_id"),
    *("cls_token_id", "sep_token_id"),
)
_GLOBAL_BASE, _LOCAL_BASE = 160000.0, 10000.0
_EMBEDDINGS = "embeddings.tok_embeddings.weight"
_BLOCK = {
    "self_attention/query_key_value": ("attn.Wqkv",),
    "self_attention/output": ("attn.Wo",),
    "self_attention_norm": ("attn_norm",),
    "feed_forward/gate": ("mlp.Wi",),
    "feed_forward/intermediate": ("mlp.Wi",),
    "feed_forward/output": ("mlp.Wo",),
    "feed_forward_norm": ("mlp_norm",),
}


def _read_arguments(config):
    check_fixed(
        config,
        **dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), False),
        decoder_bias=True,
        tie_word_embeddings=True,
    )
    read_choice(config, "classifier_activation", "gelu", ("gelu",))
    arguments = read_fields(config, _FIELDS)
    global_base, local_base = _read_bases(config)
    return {
        **arguments,
        "global_attention_every": _read_period(config, arguments["num_layers"]),
        "global_max_wavelength": global_base,
        "local_max_wavelength": local_base,
    }


def _read_period(config, num_layers):
    """How many blocks there are from one that attends globally to the next."""
    kinds = config.get("layer_types")
    if kinds is None:
        return read_size(config, "global_attn_every_n_layers", 3, MAX_SIZES["num_layers"])
    period = num_layers
    if isinstance(kinds, list) and _FULL in kinds[1:]:
        period = kinds.index(_FULL, 1)
    wanted = [_SLIDING if index % period else _FULL for index in range(num_layers)]
    if kinds != wanted:
        raise ValueError(
            f"`layer_types` must have {_FULL!r} in the first layer and at equal distances, and "
            f"{_SLIDING!r} between. Received: layer_types={kinds!r:.200}."
        )
    return period


def _read_bases(config):
    """The bases of the rotary angles in global and in local blocks.

    Version 5 of transformers keeps them in `rope_parameters`, earlier ones under keys of their own.
    """
    found = config.get("rope_parameters") or {}
    if not isinstance(found, dict) or found.keys() - {_FULL, _SLIDING}:
        raise ValueError(
            f"`rope_parameters` must be an object with {_FULL!r} and {_SLIDING!r}. Received: "
            f"rope_parameters={found!r:.200}."
        )
    bases = []
    names = {
        _FULL: ("global_rope_theta", _GLOBAL_BASE),
        _SLIDING: ("local_rope_theta", _LOCAL_BASE),
    }
    for kind, (old, default) in names.items():
        fields = found.get(kind) or {}
        if not isinstance(fields, dict) or fields.keys() - {"rope_theta", "rope_type"}:
            raise ValueError(
                f"`rope_parameters` must have objects with a `rope_theta` and the `rope_type` "
                f"'default'. Received: {kind}={fields!r:.200}."
            )
        read_choice(fields, "rope_type", "default", ("default",))
        name, fields = ("rope_theta", fields) if "rope_theta" in fields else (old, config)
        if kind == _SLIDING and name in fields and fields[name] is None:
            bases.append(bases[0])
            continue
        bases.append(read_number(fields, name, default, 1e-3, 1e12))
    return bases


def _make_config(backbone, model_type):
    rates = dict.fromkeys(("embedding_dropout", "attention_dropout"), backbone.dropout)
    return {
        "model_type": model_type,
        **rates,
        **write_fields(backbone, _FIELDS),
        # The old keys, which every version of transformers reads.
        "global_attn_every_n_layers": backbone.global_attention_every,
        "global_rope_theta": backbone.global_max_wavelength,
        "local_rope_theta": backbone.local_max_wavelength,
        "tie_word_embeddings": True,
        # Missing ones would be those of the published vocabulary.
        **dict.fromkeys(_SPECIAL_IDS),
    }


def _variable_shapes(arguments):
    dim, heads = arguments["hidden_dim"], arguments["num_heads"]
    if dim % heads or dim // heads % 2:
        raise ValueError(
            "`hidden_dim` must be an even multiple of `num_heads`. Received: "
            f"num_heads={heads}, hidden_dim={dim}."
        )
    shapes = {"token_embedding/embeddings": (arguments["vocabulary_size"], dim)}
    shapes |= norm_shapes("embedding_norm", dim, use_bias=False)
    intermediate = arguments["intermediate_dim"]
    for index in range(arguments["num_layers"]):
        block = f"block_{index}"
        # The embeddings are normalized already.
        if index:
            shapes |= norm_shapes(f"{block}/self_attention_norm", dim, use_bias=False)
        shapes |= norm_shapes(f"{block}/feed_forward_norm", dim, use_bias=False)
        for layer, *sizes in (
            ("self_attention/query_key_value", dim, 3 * dim),
            ("self_attention/output", dim, dim),
            ("feed_forward/gate", dim, intermediate),
            ("feed_forward/intermediate", dim, intermediate),
            ("feed_forward/output", intermediate, dim),
        ):
            shapes |= dense_shapes(f"{block}/{layer}", *sizes, use_bias=False)
    return shapes | norm_shapes("final_norm", dim, use_bias=False)


def _make_modules(arguments):
    modules = {
        "token_embedding": ("embeddings.tok_embeddings",),
        "embedding_norm": ("embeddings.norm",),
        "final_norm": ("final_norm",),
    }
    return {**modules, **place_blocks(arguments["num_layers"], "layers", _BLOCK)}


def _make_parts(arguments):
    """What is activated stands before what multiplies it, in one tensor."""
    return {
        f"block_{index}/feed_forward/{layer}": (part, 2)
        for index in range(arguments["num_layers"])
        for part, layer in enumerate(("gate", "intermediate"))
    }


def _head_options(arguments):
    return {
        "hidden_activation": "gelu",
        "use_hidden_bias": False,
        "hidden_norm_epsilon": arguments["norm_epsilon"],
    }


def _read_options(config, task, arguments):
    pooling = read_choice(config, "classifier_pooling", "cls", ("cls", "mean"))
    return {"pooling": pooling} if task == "TextClassifier" else {}


def _make_options(task):
    # An embedder's pooling is none of its class.
    is_mean = task.head is not None and getattr(task, "pooling", None) == "mean"
    return {"classifier_pooling": "mean" if is_mean else "cls"}


def _masked_lm_head(config, arguments):
    names = ("vocabulary_size", "norm_epsilon")
    own = {name: arguments[name] for name in names}
    return {**own, "activation": "gelu", "use_bias": False}


def _make_head(ending):
    return Head(
        endings=(ending,),
        modules={
            "head/hidden": ("head.dense",),
            "head/hidden_norm": ("head.norm",),
            "head/output": ("classifier",),
        },
        dropout_key="classifier_dropout",
        dropout=0.0,
        pooling=("cls", "mean"),
    )


FAMILIES = (
    Family(
        name="ModernBERT",
        backbone=find_backbone("ModernBertBackbone"),
        classes={"modernbert": "ModernBert"},
        plain_task="TextEmbedder",
        prefix="model.",
        heads={
            "MaskedLM": make_masked_lm_head(
                *("head.dense", "head.norm", "decoder"),
                tied={"decoder.weight": _EMBEDDINGS},
            ),
            "TextClassifier": _make_head("ForSequenceClassification"),
            "TokenClassifier": _make_head("ForTokenClassification"),
            "QuestionAnswerer": _make_head("ForQuestionAnswering"),
            "TextEmbedder": Head(endings=("Model",)),
        },
        read_arguments=_read_arguments,
        make_config=_make_config,
        variable_shapes=_variable_shapes,
        modules=_make_modules,
        parts=_make_parts,
        tokenizers=("BytePairTokenizer",),
        masked_lm_head=_masked_lm_head,
        head_options=_head_options,
        read_options=_read_options,
        make_options=_make_options,
        published={
            "modernbert-base": PublishedModel(
                "hf://answerdotai/ModernBERT-base",
                *("modernbert", "MaskedLM", 149_014_272, "apache-2.0", {}),
            ),
            "modernbert-large": PublishedModel(
                "hf://answerdotai/ModernBERT-large",
                *("modernbert", "MaskedLM", 394_781_696, "apache-2.0"),
                {
                    **{"num_hidden_layers": 28, "hidden_size": 1024, "num_attention_heads": 16},
                    "intermediate_size": 2624,
                },
            ),
        },
    ),
)
