"""T5, T5 1.1, Flan-T5 and mT5."""

from lmzoo.hub.families.family import (
    Family,
    KerasHubClass,
    PublishedModel,
    find_backbone,
    list_size_keys,
)
from lmzoo.hub.families.head import Head
from lmzoo.hub.files.config_validation import (
    check_fixed,
    number_field,
    read_choice,
    read_fields,
    read_flag,
    read_size,
    size_field,
    write_fields,
)

__all__ = [
    "BACKBONE",
    "FEED_FORWARDS",
    "FAMILIES",
    "MAX_SIZES",
    "check_buckets",
    "read_options",
    "variable_shapes",
]

BACKBONE = find_backbone("T5Backbone")
# `feed_forward_proj` -> our activation and whether it is gated. The first of ours is written back.
FEED_FORWARDS = {
    "relu": ("relu", False),
    "gelu_new": ("gelu_tanh", False),
    "gelu": ("gelu", False),
    "silu": ("silu", False),
    # With a gate, the name of the exact gelu stands for the other one.
    "gated-gelu": ("gelu_tanh", True),
    "gated-gelu_new": ("gelu_tanh", True),
    "gated-silu": ("silu", True),
    "gated-relu": ("relu", True),
}
_BUCKETS = ("relative_attention_num_buckets", "relative_attention_max_distance")
# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    "vocabulary_size": 2**24,
    "num_layers": 2**9,
    "num_decoder_layers": 2**9,
    "num_heads": 2**12,
    "hidden_dim": 2**18,
    "head_dim": 2**16,
    "intermediate_dim": 2**20,
    "max_sequence_length": 2**24,
    "num_buckets": 2**16,
    "max_distance": 2**20,
}
# model type -> what missing sizes and a missing feed-forward stand for
_DEFAULTS = {
    "t5": (32128, 6, 8, 512, 64, 2048, "relu"),
    "mt5": (250112, 8, 6, 512, 64, 1024, "gated-gelu"),
}


def _make_fields(model_type):
    *sizes, _ = _DEFAULTS[model_type]
    names = {
        "vocabulary_size": "vocab_size",
        "num_layers": "num_layers",
        "num_heads": "num_heads",
        "hidden_dim": "d_model",
        "head_dim": "d_kv",
        "intermediate_dim": "d_ff",
        "max_sequence_length": "n_positions",
        "num_buckets": _BUCKETS[0],
        "max_distance": _BUCKETS[1],
    }
    return {
        **{
            ours: size_field(theirs, MAX_SIZES[ours], default)
            for (ours, theirs), default in zip(names.items(), (*sizes, 512, 32, 128), strict=True)
        },
        "norm_epsilon": number_field("layer_norm_epsilon", 0, 1, 1e-6),
        "dropout": number_field("dropout_rate", 0, 0.999, 0.1),
        "initializer_factor": number_field("initializer_factor", 0, 1000, 1.0),
    }


def _read_arguments(config):
    model_type = config["model_type"]
    check_fixed(config, is_decoder=False, is_encoder_decoder=True)
    arguments = read_fields(config, _make_fields(model_type))
    name = "num_decoder_layers"
    layers = read_size(config, name, None, MAX_SIZES[name], optional=True)
    arguments[name] = arguments["num_layers"] if layers is None else layers
    check_buckets(arguments["num_buckets"], arguments["max_distance"])
    *_, default = _DEFAULTS[model_type]
    kind = read_choice(config, "feed_forward_proj", default, FEED_FORWARDS)
    arguments["activation"], arguments["gated"] = FEED_FORWARDS[kind]
    arguments["tied"] = _is_tied(config, model_type)
    return arguments


def check_buckets(num_buckets, max_distance, names=_BUCKETS):
    """Raises ValueError unless an encoder and a decoder can both put distances in such buckets."""
    # An encoder halves them for both sides, and half of a side holds one distance each.
    if num_buckets % 2 or not 4 <= num_buckets < 2 * max_distance:
        raise ValueError(
            f"`{names[0]}` must be even, at least 4, and less than twice `{names[1]}`. Received: "
            f"{names[0]}={num_buckets}, {names[1]}={max_distance}."
        )


def _is_tied(config, model_type):
    """Whether the head is the embeddings and logits are scaled by d ** -0.5, which go together.

    Version 5 of transformers writes `tie_word_embeddings` as true whatever the model has, and says
    in `scale_decoder_outputs` what earlier ones meant by it; it never scales an mT5.
    """
    tied = read_flag(config, "tie_word_embeddings", True)
    scaled = read_flag(config, "scale_decoder_outputs", tied)
    return scaled and model_type == "t5"


def read_options(config, task, arguments):
    """The start token of a `Seq2SeqLM`: `decoder_start_token_id`, or else the padding.

    Raises:
        ValueError: if a special id is not in the vocabulary.
    """
    if task != "Seq2SeqLM":
        return {}
    highest = arguments["vocabulary_size"] - 1
    pad = read_size(config, "pad_token_id", 0, highest, lowest=0)
    ends = config.get("eos_token_id", 1)
    for end in ends if isinstance(ends, list) else [ends]:
        # Ends are the tokenizer's; a config that is wrong here is wrong elsewhere too.
        read_size({"eos_token_id": end}, "eos_token_id", None, highest, True, 0)
    name = "decoder_start_token_id"
    start = read_size(config, name, pad, highest, optional=True, lowest=0)
    return {"start_token_id": pad if start is None else start}


def _make_config(backbone, model_type):
    names = {ours: theirs for theirs, ours in reversed(FEED_FORWARDS.items())}
    return {
        "model_type": model_type,
        **write_fields(backbone, _make_fields(model_type)),
        "num_decoder_layers": backbone.num_decoder_layers,
        "feed_forward_proj": names[backbone.activation, backbone.gated],
        "is_encoder_decoder": True,
        "tie_word_embeddings": backbone.tied,
    }


def variable_shapes(arguments):
    """dict of path below the backbone -> shape.

    Args:
        arguments: dict of the sizes, `gated` and `tied` of `T5Backbone`.
    """
    dim, vocabulary = arguments["hidden_dim"], arguments["vocabulary_size"]
    shapes = {"token_embedding/embeddings": (vocabulary, dim)}
    if not arguments["tied"]:
        shapes["token_embedding/output_embeddings"] = (vocabulary, dim)
    for stack, count in (
        ("encoder", arguments["num_layers"]),
        ("decoder", arguments["num_decoder_layers"]),
    ):
        block = _block_shapes(arguments, cross_attention=stack == "decoder")
        for index in range(count):
            shapes |= {f"{stack}_block_{index}/{path}": shape for path, shape in block.items()}
        buckets = (arguments["num_buckets"], arguments["num_heads"])
        shapes |= {f"{stack}_bias/embeddings": buckets, f"{stack}_norm/scale": (dim,)}
    return shapes


def _block_shapes(arguments, cross_attention):
    dim, intermediate = arguments["hidden_dim"], arguments["intermediate_dim"]
    heads = arguments["num_heads"] * arguments["head_dim"]
    shapes = {
        "self_attention/query_key_value/kernel": (dim, 3 * heads),
        "self_attention/output/kernel": (heads, dim),
        "self_attention_norm/scale": (dim,),
        "feed_forward/intermediate/kernel": (dim, intermediate),
        "feed_forward/output/kernel": (intermediate, dim),
        "feed_forward_norm/scale": (dim,),
    }
    if arguments["gated"]:
        shapes["feed_forward/gate/kernel"] = (dim, intermediate)
    if cross_attention:
        shapes |= {
            "cross_attention/query/kernel": (dim, heads),
            "cross_attention/key_value/kernel": (dim, 2 * heads),
            "cross_attention/output/kernel": (heads, dim),
            "cross_attention_norm/scale": (dim,),
        }
    return shapes


_SELF_ATTENTION = {
    "self_attention/query_key_value": ("SelfAttention.q", "SelfAttention.k", "SelfAttention.v"),
    "self_attention/output": ("SelfAttention.o",),
    "self_attention_norm": ("layer_norm",),
}
_CROSS_ATTENTION = {
    "cross_attention/query": ("EncDecAttention.q",),
    "cross_attention/key_value": ("EncDecAttention.k", "EncDecAttention.v"),
    "cross_attention/output": ("EncDecAttention.o",),
    "cross_attention_norm": ("layer_norm",),
}
_FEED_FORWARD = {
    "feed_forward/intermediate": ("DenseReluDense.wi",),
    "feed_forward/output": ("DenseReluDense.wo",),
    "feed_forward_norm": ("layer_norm",),
}
_GATED = {
    **_FEED_FORWARD,
    "feed_forward/gate": ("DenseReluDense.wi_0",),
    "feed_forward/intermediate": ("DenseReluDense.wi_1",),
}


def _make_modules(arguments):
    modules = {"token_embedding": ("shared",)}
    feed_forward = _GATED if arguments["gated"] else _FEED_FORWARD
    stacks = {
        "encoder": (arguments["num_layers"], (_SELF_ATTENTION, feed_forward)),
        "decoder": (
            arguments["num_decoder_layers"],
            (_SELF_ATTENTION, _CROSS_ATTENTION, feed_forward),
        ),
    }
    for stack, (num_layers, layers) in stacks.items():
        modules[f"{stack}_norm"] = (f"{stack}.final_layer_norm",)
        # The first block keeps the relative position bias of all.
        table = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
        modules[f"{stack}_bias"] = (table,)
        for index in range(num_layers):
            for number, layer in enumerate(layers):
                place = f"{stack}.block.{index}.layer.{number}"
                for ours, theirs in layer.items():
                    names = tuple(f"{place}.{name}" for name in theirs)
                    modules[f"{stack}_block_{index}/{ours}"] = names
    return modules


def _read_keras_hub(backbone):
    activation = getattr(backbone.activation, "__name__", str(backbone.activation))
    return {
        "head_dim": backbone.key_value_dim or backbone.hidden_dim // backbone.num_heads,
        "activation": {"gelu_approximate": "gelu_tanh"}.get(activation, activation),
        "gated": backbone.use_gated_activation,
        "tied": backbone.tie_embedding_weights,
        "norm_epsilon": backbone.layer_norm_epsilon,
    }


def _make_keras_hub(backbone):
    import keras

    from lmzoo.hub.keras_hub.checks import check_only

    check_only(backbone, num_decoder_layers=backbone.num_layers, num_buckets=32, max_distance=128)
    activation = backbone.activation
    if activation == "gelu_tanh":
        # Its own function, so that what KerasHub saves can be opened again.
        activation = keras.saving.get_registered_object("keras_hub>gelu_approximate")
    return {
        "key_value_dim": backbone.head_dim,
        "activation": activation,
        "use_gated_activation": backbone.gated,
        "tie_embedding_weights": backbone.tied,
        "layer_norm_epsilon": backbone.norm_epsilon,
    }


_PICKLED = "its weights may be pickled, which lmzoo does not open"
# T5 1.1: a gate in the feed-forward and an untied output layer.
_FLAN = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
_MT5 = {"model_type": "mt5", "note": _PICKLED, "tie_word_embeddings": False}


def _published(place, num_parameters, layers, heads, width, inner, **config):
    model_type, note = config.pop("model_type", "t5"), config.pop("note", "")
    sizes = {"num_layers": layers, "num_heads": heads, "d_model": width, "d_ff": inner}
    config = {**sizes, **config}
    values = (f"hf://{place}", model_type, "Seq2SeqLM", num_parameters, "apache-2.0", config, note)
    return PublishedModel(*values)


_PUBLISHED = {
    "t5-small": _published("google-t5/t5-small", 60_506_624, 6, 8, 512, 2048),
    "t5-base": _published("google-t5/t5-base", 222_903_552, 12, 12, 768, 3072),
    "t5-large": _published("google-t5/t5-large", 737_668_096, 24, 16, 1024, 4096),
    "t5-xl": _published(
        *("google-t5/t5-3b", 2_851_598_336, 24, 32, 1024, 16384),
        note="published as t5-3b",
        d_kv=128,
    ),
    "flan-t5-small": _published("google/flan-t5-small", 76_961_152, 8, 6, 512, 1024, **_FLAN),
    "flan-t5-base": _published("google/flan-t5-base", 247_577_856, 12, 12, 768, 2048, **_FLAN),
    "flan-t5-large": _published("google/flan-t5-large", 783_150_080, 24, 16, 1024, 2816, **_FLAN),
    "flan-t5-xl": _published("google/flan-t5-xl", 2_849_757_184, 24, 32, 2048, 5120, **_FLAN),
    "mt5-small": _published("google/mt5-small", 300_176_768, 8, 6, 512, 1024, **_MT5),
    "mt5-base": _published("google/mt5-base", 582_401_280, 12, 12, 768, 2048, **_MT5),
    "mt5-large": _published("google/mt5-large", 1_229_581_312, 24, 16, 1024, 2816, **_MT5),
    "mt5-xl": _published("google/mt5-xl", 3_742_619_648, 24, 32, 2048, 5120, **_MT5),
}

FAMILIES = (
    Family(
        name="T5",
        backbone=BACKBONE,
        classes={"t5": "T5", "mt5": "MT5"},
        plain_task="Seq2SeqLM",
        default_task="Seq2SeqLM",
        heads={
            "Seq2SeqLM": Head(
                # The second is what the oldest files call it.
                endings=("ForConditionalGeneration", "WithLMHeadModel"),
                modules={"token_embedding/output_embeddings": ("lm_head",)},
                tied={"lm_head.weight": "shared.weight"},
            ),
            # The encoder alone, as sentence-t5 is published.
            "TextEmbedder": Head(
                endings=("EncoderModel",),
                left_out=r"decoder_.*|token_embedding/output_embeddings",
            ),
        },
        read_arguments=_read_arguments,
        make_config=_make_config,
        size_keys=list_size_keys(_make_fields("t5")),
        read_options=read_options,
        variable_shapes=variable_shapes,
        modules=_make_modules,
        tied=dict.fromkeys(
            ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), "shared.weight"
        ),
        # Below the heads of other classes, whose tensors are no part of the backbone.
        renamed={r"transformer\.(.*)": r"\1"},
        headless=("TextClassifier", "TokenClassifier"),
        # A table that old files have and nobody ever read: cross-attention knows no distances.
        ignored={
            "distances of cross-attention": (
                r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"
            ),
            "head of another class": (
                r"(classification_head\.(dense|out_proj)|classifier|qa_outputs)\.(weight|bias)"
            ),
        },
        # transformers ties what a file does not hold.
        output_fallback="shared",
        tokenizers=("SentencePieceTokenizer",),
        initializer="initializer_factor",
        embedding_stddev=lambda backbone: (
            (backbone.initializer_factor or 1) * backbone.hidden_dim**-0.5
        ),
        keras_hub=KerasHubClass(
            name="T5Backbone",
            read_arguments=_read_keras_hub,
            make_arguments=_make_keras_hub,
            fits=lambda backbone: True,
        ),
        published=_PUBLISHED,
    ),
)
