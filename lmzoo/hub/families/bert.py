"""BERT, and what the families of its kind share: the arguments and variables of `BertBackbone`.

RoBERTa, DistilBERT, XLM-RoBERTa, MPNet and ELECTRA differ from it in the names of a config's keys
and of tensors.
"""

import functools

from lmzoo.hub.families.family import (
    Family,
    KerasHubClass,
    PublishedModel,
    find_backbone,
    place_blocks,
)
from lmzoo.hub.families.head import Head, make_masked_lm_head, make_token_heads
from lmzoo.hub.files.config_validation import (
    check_fixed,
    choice_field,
    number_field,
    read_choice,
    read_fields,
    size_field,
    write_fields,
)

__all__ = [
    "ACTIVATIONS",
    "ATTENTION_MODULES",
    "BACKBONE",
    "FAMILIES",
    "FEED_FORWARD_MODULES",
    "IGNORED",
    "LARGE_SIZES",
    "MAX_SIZES",
    "check_encoder",
    "complete",
    "dense_shapes",
    "make_encoder_family",
    "make_fields",
    "make_modules",
    "make_size_fields",
    "norm_shapes",
    "variable_shapes",
]

BACKBONE = find_backbone("BertBackbone")
# transformers' names -> ours.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}
# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    "vocabulary_size": 2**24,
    "num_layers": 2**10,
    "num_heads": 2**12,
    "hidden_dim": 2**18,
    "intermediate_dim": 2**20,
    "max_sequence_length": 2**24,
    "num_segments": 2**16,
    "position_offset": 2**24,
    "embedding_dim": 2**18,
    "num_buckets": 2**16,
    "max_distance": 2**20,
}
# What a missing argument of `BertBackbone` stands for.
_DEFAULTS = {
    "embedding_dim": None,
    "relative_attention": False,
    "num_buckets": 32,
    "max_distance": 128,
}
# The sizes of every published "large" model.
LARGE_SIZES = {
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "hidden_size": 1024,
    "intermediate_size": 4096,
}
# The modules of a block, without its place.
ATTENTION_MODULES = {
    "self_attention/query_key_value": (
        *("attention.self.query", "attention.self.key"),
        "attention.self.value",
    ),
    "self_attention/output": ("attention.output.dense",),
    "self_attention_norm": ("attention.output.LayerNorm",),
}
FEED_FORWARD_MODULES = {
    "feed_forward/intermediate": ("intermediate.dense",),
    "feed_forward/output": ("output.dense",),
    "feed_forward_norm": ("output.LayerNorm",),
}
_MODULES = {
    "token_embedding": ("embeddings.word_embeddings",),
    "position_embedding": ("embeddings.position_embeddings",),
    "segment_embedding": ("embeddings.token_type_embeddings",),
    "embedding_norm": ("embeddings.LayerNorm",),
    "pooler": ("pooler.dense",),
}
IGNORED = {
    # Old files carry the counters.
    "position and segment counters": r"embeddings\.(position_ids|token_type_ids)",
    "next-sentence head": r"cls\.seq_relationship\.(weight|bias)",
    "pooler that the task does not have": r"pooler\.dense\.(weight|bias)",
}
# The oldest files name a norm's weights as TensorFlow did.
RENAMED = {r"LayerNorm\.gamma": "LayerNorm.weight", r"LayerNorm\.beta": "LayerNorm.bias"}
_EMBEDDINGS = "embeddings.word_embeddings.weight"


def make_size_fields(**keys):
    """dict of argument -> Field, for arguments given as (key of config.json, default)."""
    return {name: size_field(key, MAX_SIZES[name], usual) for name, (key, usual) in keys.items()}


def make_fields(**changed):
    """The arguments of `BertBackbone` in BERT's config: dict of argument -> Field.

    Args:
        changed: fields that are others than BERT's; None for one that is not in the config.
    """
    fields = {
        **make_size_fields(
            vocabulary_size=("vocab_size", 30522),
            num_layers=("num_hidden_layers", 12),
            num_heads=("num_attention_heads", 12),
            hidden_dim=("hidden_size", 768),
            intermediate_dim=("intermediate_size", 3072),
            max_sequence_length=("max_position_embeddings", 512),
            num_segments=("type_vocab_size", 2),
        ),
        "activation": choice_field("hidden_act", "gelu", ACTIVATIONS),
        # The rate of the attention weights is the same one here.
        "dropout": number_field("hidden_dropout_prob", 0, 0.999, 0.1),
        "norm_epsilon": number_field("layer_norm_eps", 0, 1, 1e-12),
        "initializer_range": number_field("initializer_range", 0, 1000, 0.02),
    }
    return {name: field for name, field in {**fields, **changed}.items() if field is not None}


def check_encoder(config):
    """Refuses a config of a decoder, or of positions that are not learned."""
    check_fixed(config, is_decoder=False, add_cross_attention=False)
    read_choice(config, "position_embedding_type", "absolute", ("absolute",))


_FIELDS = make_fields()


def _read_arguments(config):
    check_encoder(config)
    return {**read_fields(config, _FIELDS), "position_offset": 0}


def _make_config(backbone, model_type):
    return {
        "model_type": model_type,
        "attention_probs_dropout_prob": backbone.dropout,
        **write_fields(backbone, _FIELDS),
    }


def complete(arguments):
    """Arguments of `BertBackbone` in which each default is written out, to be compared."""
    found = {**_DEFAULTS, **arguments}
    found["embedding_dim"] = found["embedding_dim"] or found["hidden_dim"]
    if not found["relative_attention"]:
        found |= {"num_buckets": None, "max_distance": None}
    return found


def variable_shapes(arguments):
    """dict of path below a `BertBackbone` -> shape.

    Args:
        arguments: dict of its arguments; missing options are switched off.
    Raises:
        ValueError: if `num_heads` does not divide `hidden_dim`.
    """
    dim, heads = arguments["hidden_dim"], arguments["num_heads"]
    if dim % heads:
        raise ValueError(
            f"`num_heads` must divide `hidden_dim`. Received: num_heads={heads}, hidden_dim={dim}."
        )
    found = complete(arguments)
    width, length = found["embedding_dim"], found["max_sequence_length"] + found["position_offset"]
    shapes = {
        "token_embedding/embeddings": (found["vocabulary_size"], width),
        "position_embedding/embeddings": (length, width),
    }
    if found["num_segments"]:
        shapes["segment_embedding/embeddings"] = (found["num_segments"], width)
    shapes |= norm_shapes("embedding_norm", width)
    if width != dim:
        shapes |= dense_shapes("embedding_projection", width, dim)
    if found["relative_attention"]:
        shapes["relative_position_bias/embeddings"] = (found["num_buckets"], heads)
    intermediate = arguments["intermediate_dim"]
    for index in range(arguments["num_layers"]):
        block = f"block_{index}"
        shapes |= dense_shapes(f"{block}/self_attention/query_key_value", dim, 3 * dim)
        shapes |= dense_shapes(f"{block}/self_attention/output", dim, dim)
        shapes |= norm_shapes(f"{block}/self_attention_norm", dim)
        shapes |= dense_shapes(f"{block}/feed_forward/intermediate", dim, intermediate)
        shapes |= dense_shapes(f"{block}/feed_forward/output", intermediate, dim)
        shapes |= norm_shapes(f"{block}/feed_forward_norm", dim)
    if arguments["pooler"]:
        shapes |= dense_shapes("pooler", dim, dim)
    return shapes


def dense_shapes(path, inputs, outputs, use_bias=True):
    """dict of path -> shape of a dense layer."""
    shapes = {f"{path}/kernel": (inputs, outputs)}
    return {**shapes, f"{path}/bias": (outputs,)} if use_bias else shapes


def norm_shapes(path, dim, use_bias=True):
    """dict of path -> shape of a layer norm."""
    shapes = {f"{path}/gamma": (dim,)}
    return {**shapes, f"{path}/beta": (dim,)} if use_bias else shapes


def make_modules(arguments, body=None, place="encoder.layer", block=None):
    """The module of each layer of a `BertBackbone`: dict of a layer's path -> tuple of names.

    Args:
        arguments: dict of the backbone's arguments.
        body: dict of a layer outside the blocks -> names, where they are others than BERT's.
        place: str. What stands before the number of a block.
        block: dict of a layer of a block -> names, without the place; None for BERT's.
    """
    block = block or {**ATTENTION_MODULES, **FEED_FORWARD_MODULES}
    blocks = place_blocks(arguments["num_layers"], place, block)
    return {**_MODULES, **(body or {}), **blocks}


def make_encoder_family(**own):
    """The record of a family on `BertBackbone`: BERT's own fields where it says nothing else.

    The prefix of the tensors is the model type where no other is given.

    Args:
        own: fields of `Family`.
    """
    shared = {
        "name": "BERT",
        "backbone": BACKBONE,
        "prefix": f"{next(iter(own['classes']))}.",
        "plain_task": "TextEmbedder",
        "variable_shapes": variable_shapes,
        "modules": make_modules,
        "complete": complete,
        "renamed": RENAMED,
        "ignored": IGNORED,
        "has_pooler": True,
        "tokenizers": ("WordPieceTokenizer",),
    }
    return Family(**{**shared, **own})


def _read_keras_hub(backbone):
    return {"num_segments": backbone.num_segments, "activation": "gelu_tanh", "pooler": True}


def _make_keras_hub(backbone):
    from lmzoo.hub.keras_hub.checks import check_common, check_only, warn_of_gelu

    check_common(backbone)
    check_only(backbone, norm_epsilon=1e-12, pooler=True)
    if backbone.activation == "gelu":
        warn_of_gelu()
    else:
        check_only(backbone, activation="gelu_tanh")
    length, segments = backbone.max_sequence_length, backbone.num_segments
    return {"max_sequence_length": length, "num_segments": segments}


_PICKLED = "its weights may be pickled, which lmzoo does not open"


def _published(place, num_parameters, note="", **config):
    config = {"layer_norm_eps": 1e-12, **config}
    values = (f"hf://{place}", "bert", "MaskedLM", num_parameters, "apache-2.0", config, note)
    return PublishedModel(*values)


def _published_small(layers, width, num_parameters):
    """The sizes of Turc et al. 2019, https://arxiv.org/abs/1908.08962: heads are 64 wide."""
    heads = width // 64
    place = f"google/bert_uncased_L-{layers}_H-{width}_A-{heads}"
    sizes = {"hidden_size": width, "intermediate_size": 4 * width}
    depths = {"num_hidden_layers": layers, "num_attention_heads": heads}
    return _published(place, num_parameters, _PICKLED, **sizes, **depths)


_cased = functools.partial(_published, vocab_size=28996)

FAMILIES = (
    make_encoder_family(
        classes={"bert": "Bert"},
        heads={
            "MaskedLM": make_masked_lm_head(
                *("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
                "cls.predictions",
                tied={
                    "cls.predictions.decoder.weight": _EMBEDDINGS,
                    "cls.predictions.decoder.bias": "cls.predictions.bias",
                },
                endings=("ForMaskedLM", "ForPreTraining"),
            ),
            "TextClassifier": Head(
                endings=("ForSequenceClassification",),
                modules={"head/output": ("classifier",)},
                dropout_key="classifier_dropout",
                uses_pooler=True,
                pooling=("pooler",),
            ),
            **make_token_heads("classifier_dropout"),
        },
        read_arguments=_read_arguments,
        make_config=_make_config,
        keras_hub=KerasHubClass(
            name="BertBackbone",
            read_arguments=_read_keras_hub,
            make_arguments=_make_keras_hub,
            fits=lambda backbone: bool(backbone.num_segments) and not backbone.position_offset,
        ),
        published={
            "bert-tiny": _published_small(2, 128, 4_385_920),
            "bert-mini": _published_small(4, 256, 11_170_560),
            "bert-small": _published_small(4, 512, 28_763_648),
            "bert-medium": _published_small(8, 512, 41_373_184),
            "bert-base-uncased": _published("google-bert/bert-base-uncased", 109_482_240),
            "bert-base-cased": _cased("google-bert/bert-base-cased", 108_310_272),
            "bert-large-uncased": _published(
                "google-bert/bert-large-uncased", 335_141_888, **LARGE_SIZES
            ),
            "bert-large-cased": _cased("google-bert/bert-large-cased", 333_579_264, **LARGE_SIZES),
        },
    ),
)
