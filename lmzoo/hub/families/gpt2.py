"""GPT-2, and what all decoders share: the variables of `GPTBackbone`."""

from lmzoo.hub.families import bert
from lmzoo.hub.families.family import (
    Family,
    KerasHubClass,
    PublishedModel,
    find_backbone,
    list_size_keys,
    place_blocks,
)
from lmzoo.hub.families.head import make_decoder_heads
from lmzoo.hub.files.config_validation import (
    check_fixed,
    choice_field,
    flag_field,
    number_field,
    read_fields,
    size_field,
    write_fields,
)

__all__ = [
    "BACKBONE",
    "FAMILIES",
    "MAX_SIZES",
    "complete",
    "make_decoder_family",
    "variable_shapes",
]

BACKBONE = find_backbone("GPTBackbone")
# What a config may ask for, far above every published model. The file must hold the tensors too.
MAX_SIZES = {
    **bert.MAX_SIZES,
    "num_key_value_heads": 2**12,
    "head_dim": 2**16,
    "sliding_window": 2**24,
}
_FIELDS = {
    "vocabulary_size": size_field("vocab_size", MAX_SIZES["vocabulary_size"], 50257),
    "num_layers": size_field("n_layer", MAX_SIZES["num_layers"], 12),
    "num_heads": size_field("n_head", MAX_SIZES["num_heads"], 12),
    "hidden_dim": size_field("n_embd", MAX_SIZES["hidden_dim"], 768),
    "intermediate_dim": size_field("n_inner", MAX_SIZES["intermediate_dim"], optional=True),
    "max_sequence_length": size_field("n_positions", MAX_SIZES["max_sequence_length"], 1024),
    "norm_epsilon": number_field("layer_norm_epsilon", 0, 1, 1e-5),
    "activation": choice_field("activation_function", "gelu_new", bert.ACTIVATIONS),
    "initializer_range": number_field("initializer_range", 0, 1000, 0.02),
    # It stands for all three rates, which are one here.
    "dropout": number_field("resid_pdrop", 0, 0.999, 0.1),
    "tied": flag_field("tie_word_embeddings", True),
}
_BLOCK = {
    "self_attention_norm": ("ln_1",),
    "self_attention/query_key_value": ("attn.c_attn",),
    "self_attention/output": ("attn.c_proj",),
    "feed_forward_norm": ("ln_2",),
    "feed_forward/intermediate": ("mlp.c_fc",),
    "feed_forward/output": ("mlp.c_proj",),
}
# What a missing argument of `GPTBackbone` stands for.
_DEFAULTS = {
    "positions": "learned",
    "max_wavelength": 10000.0,
    "rotary_scaling": None,
    "norm": "layer_norm",
    "gated": False,
    "sliding_window": None,
    "use_bias": True,
    "use_attention_bias": None,
    "use_output_bias": None,
    "num_key_value_heads": None,
    "head_dim": None,
    "intermediate_dim": None,
    "query_key_norm": False,
}


def _read_arguments(config):
    check_fixed(
        config,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
    )
    return read_fields(config, _FIELDS)


def _make_config(backbone, model_type):
    rates = dict.fromkeys(("attn_pdrop", "embd_pdrop"), backbone.dropout)
    return {"model_type": model_type, **rates, **write_fields(backbone, _FIELDS)}


def _make_modules(arguments):
    modules = {
        "token_embedding": ("wte",),
        "position_embedding": ("wpe",),
        "final_norm": ("ln_f",),
    }
    return {**modules, **place_blocks(arguments["num_layers"], "h", _BLOCK)}


def complete(arguments):
    """Arguments of `GPTBackbone` in which each default is written out, to be compared."""
    found = {**_DEFAULTS, **arguments}
    dim, heads = found["hidden_dim"], found["num_heads"]
    found["num_key_value_heads"] = found["num_key_value_heads"] or heads
    found["intermediate_dim"] = found["intermediate_dim"] or 4 * dim
    found["head_dim"] = found["head_dim"] or dim / heads
    for name in ("use_attention_bias", "use_output_bias"):
        found[name] = found["use_bias"] if found[name] is None else found[name]
    if found["positions"] == "learned":
        found |= {"max_wavelength": None, "rotary_scaling": None}
    return found


def variable_shapes(arguments):
    """dict of path below a `GPTBackbone` -> shape.

    Args:
        arguments: dict of its arguments; missing ones are those of GPT-2.
    Raises:
        ValueError: if the numbers of heads do not divide.
    """
    dim, vocabulary = arguments["hidden_dim"], arguments["vocabulary_size"]
    shapes = {"token_embedding/embeddings": (vocabulary, dim)}
    if not arguments.get("tied", True):
        shapes["token_embedding/output_embeddings"] = (vocabulary, dim)
    if arguments.get("positions", "learned") == "learned":
        length = arguments["max_sequence_length"]
        shapes["position_embedding/embeddings"] = (length, dim)
    block = _block_shapes(arguments)
    for index in range(arguments["num_layers"]):
        shapes |= {f"block_{index}/{path}": shape for path, shape in block.items()}
    return shapes | _norm_shapes("final_norm", arguments)


def _block_shapes(arguments):
    head_dim = _find_head_dim(arguments)
    found = complete(arguments)
    dim, heads, shared = (
        found[name] for name in ("hidden_dim", "num_heads", "num_key_value_heads")
    )
    intermediate, use_bias = found["intermediate_dim"], found["use_bias"]
    dense = {
        "self_attention/query_key_value": (
            *(dim, (heads + 2 * shared) * head_dim),
            found["use_attention_bias"],
        ),
        "self_attention/output": (heads * head_dim, dim, found["use_output_bias"]),
        "feed_forward/intermediate": (dim, intermediate, use_bias),
        "feed_forward/output": (intermediate, dim, use_bias),
    }
    if found["gated"]:
        dense["feed_forward/gate"] = (dim, intermediate, use_bias)
    shapes = {}
    for path, sizes in dense.items():
        shapes |= bert.dense_shapes(path, *sizes)
    if found["query_key_norm"]:
        for name in ("query_norm", "key_norm"):
            shapes[f"self_attention/{name}/scale"] = (head_dim,)
    for name in ("self_attention_norm", "feed_forward_norm"):
        shapes |= _norm_shapes(name, arguments)
    return shapes


def _find_head_dim(arguments):
    dim, heads = arguments["hidden_dim"], arguments["num_heads"]
    shared = arguments.get("num_key_value_heads") or heads
    if heads % shared:
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_key_value_heads={shared}, num_heads={heads}."
        )
    head_dim = arguments.get("head_dim")
    if head_dim is None and dim % heads:
        raise ValueError(
            f"`num_heads` must divide `hidden_dim`. Received: num_heads={heads}, hidden_dim={dim}."
        )
    head_dim = head_dim or dim // heads
    if arguments.get("positions") == "rotary" and head_dim % 2:
        raise ValueError(f"`head_dim` must be even. Received: head_dim={head_dim}.")
    return head_dim


def _norm_shapes(path, arguments):
    shape = (arguments["hidden_dim"],)
    if arguments.get("norm", "layer_norm") == "rms_norm":
        return {f"{path}/scale": shape}
    return {f"{path}/gamma": shape, f"{path}/beta": shape}


def make_decoder_family(**own):
    """The record of a family on `GPTBackbone`.

    Args:
        own: fields of `Family` beside those that all of them have.
    """
    shared = {
        "name": "GPT",
        "backbone": BACKBONE,
        "plain_task": "CausalLM",
        "default_task": "CausalLM",
        "variable_shapes": variable_shapes,
        "complete": complete,
        "tokenizers": ("BytePairTokenizer",),
    }
    return Family(**{**shared, **own})


def _make_keras_hub(backbone):
    from lmzoo.hub.keras_hub.checks import check_only

    check_only(backbone, norm_epsilon=1e-5)
    return {"max_sequence_length": backbone.max_sequence_length}


def _fits_keras_hub(backbone):
    config = _make_config(backbone, "gpt2") if backbone.activation == "gelu_tanh" else None
    if config is None or not backbone.tied:
        return False
    own = backbone.get_config()
    read, own = complete(_read_arguments(config)), complete(own)
    return all(own[name] == value for name, value in read.items())


def _published(place, num_parameters, layers, heads, width, license="mit"):
    config = {"n_layer": layers, "n_head": heads, "n_embd": width}
    values = (f"hf://{place}", "gpt2", "CausalLM", num_parameters, license, config)
    return PublishedModel(*values)


FAMILIES = (
    make_decoder_family(
        classes={"gpt2": "GPT2"},
        heads=make_decoder_heads("LMHeadModel", "wte.weight"),
        prefix="transformer.",
        # GPT-2 keeps its kernels (in, out).
        transposed=False,
        read_arguments=_read_arguments,
        make_config=_make_config,
        size_keys=list_size_keys(_FIELDS),
        modules=_make_modules,
        # Old files carry the masks beside the weights.
        ignored={"causal masks": r"h\.\d+\.attn\.(masked_)?bias"},
        keras_hub=KerasHubClass(
            name="GPT2Backbone",
            read_arguments=lambda backbone: {},
            make_arguments=_make_keras_hub,
            fits=_fits_keras_hub,
        ),
        published={
            "distilgpt2": _published("distilbert/distilgpt2", 81_912_576, 6, 12, 768, "apache-2.0"),
            "gpt2": _published("openai-community/gpt2", 124_439_808, 12, 12, 768),
            "gpt2-medium": _published("openai-community/gpt2-medium", 354_823_168, 24, 16, 1024),
            "gpt2-large": _published("openai-community/gpt2-large", 774_030_080, 36, 20, 1280),
            "gpt2-xl": _published("openai-community/gpt2-xl", 1_557_611_200, 48, 25, 1600),
        },
    ),
)
