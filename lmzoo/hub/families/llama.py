"""Llama, Qwen2 and Mistral: decoders with rotary positions, RMSNorm and a gated feed-forward."""

from lmzoo.hub.families.family import place_blocks
from lmzoo.hub.families.gpt2 import MAX_SIZES, make_decoder_family, variable_shapes
from lmzoo.hub.families.head import make_decoder_heads
from lmzoo.hub.families.rotary_config import (
    find_context_length,
    has_rotary_config,
    make_rotary_config,
    read_rotary,
)
from lmzoo.hub.files.config_validation import (
    choice_field,
    flag_field,
    number_field,
    read_fields,
    read_flag,
    read_size,
    size_field,
    write_fields,
)

__all__ = [
    "EMBEDDINGS",
    "FAMILIES",
    "IGNORED",
    "make_decoder_config",
    "make_fields",
    "make_llama_family",
    "make_modules",
    "make_window_config",
    "read_decoder",
    "read_window",
]

# transformers' names -> ours. The first of ours is written back.
_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "relu": "relu",
}
# What missing sizes stand for: vocabulary, layers, heads, width, inner width, positions.
_DEFAULT_SIZES = {
    "llama": (32000, 32, 32, 4096, 11008, 2048),
    "qwen2": (151936, 32, 32, 4096, 22016, 32768),
    "mistral": (32000, 32, 32, 4096, 14336, 131072),
}
_DEFAULT_KEY_VALUE_HEADS = {"llama": None, "qwen2": 32, "mistral": 8}
_FULL, _SLIDING = "full_attention", "sliding_attention"
_BLOCK = {
    "self_attention_norm": ("input_layernorm",),
    "self_attention/query_key_value": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/output": ("self_attn.o_proj",),
    "feed_forward_norm": ("post_attention_layernorm",),
    "feed_forward/gate": ("mlp.gate_proj",),
    "feed_forward/intermediate": ("mlp.up_proj",),
    "feed_forward/output": ("mlp.down_proj",),
}
_MODULES = {"token_embedding": ("embed_tokens",), "final_norm": ("norm",)}
EMBEDDINGS = "embed_tokens.weight"
# Old files carry the frequencies by which rotary positions turn.
IGNORED = {
    "frequencies of the angles": r"(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",
}


def make_fields(sizes, num_key_value_heads=None):
    """The arguments of `GPTBackbone` in a config with Llama's keys: dict of argument -> Field.

    Args:
        sizes: six ints. What missing sizes stand for, in the order of `_DEFAULT_SIZES`.
        num_key_value_heads: int or None. What a missing number stands for; None for `num_heads`.
    """
    names = {
        "vocabulary_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "hidden_dim": "hidden_size",
        "intermediate_dim": "intermediate_size",
        "max_sequence_length": "max_position_embeddings",
    }
    fields = {
        ours: size_field(theirs, MAX_SIZES[ours], default)
        for (ours, theirs), default in zip(names.items(), sizes, strict=True)
    }
    return {
        **fields,
        "num_key_value_heads": size_field(
            *("num_key_value_heads", MAX_SIZES["num_key_value_heads"], num_key_value_heads),
            optional=True,
        ),
        "norm_epsilon": number_field("rms_norm_eps", 0, 1, 1e-6),
        "activation": choice_field("hidden_act", "silu", _ACTIVATIONS),
        "tied": flag_field("tie_word_embeddings", False),
        # It stands for all three rates, which are one here.
        "dropout": number_field("attention_dropout", 0, 0.999, 0.0),
        "initializer_range": number_field("initializer_range", 0, 1000, 0.02),
    }


def read_decoder(config, fields):
    """What all decoders of this kind have, out of a config: dict of argument -> value."""
    arguments = read_fields(config, fields)
    head_dim = read_size(config, "head_dim", None, MAX_SIZES["head_dim"], optional=True)
    usual = head_dim == arguments["hidden_dim"] / arguments["num_heads"]
    wavelength, scaling = read_rotary(config, arguments["max_sequence_length"])
    return {
        **arguments,
        "head_dim": None if usual else head_dim,
        "positions": "rotary",
        "max_wavelength": wavelength,
        "rotary_scaling": scaling,
        "max_sequence_length": find_context_length(scaling, arguments["max_sequence_length"]),
        "norm": "rms_norm",
        "gated": True,
    }


def _read_arguments(config):
    model_type = config["model_type"]
    fields = make_fields(_DEFAULT_SIZES[model_type], _DEFAULT_KEY_VALUE_HEADS[model_type])
    arguments = read_decoder(config, fields)
    window = None if model_type == "llama" else read_window(config, arguments["num_layers"])
    return {**arguments, **_read_biases(config, model_type), "sliding_window": window}


def make_decoder_config(backbone, model_type, fields):
    """What all decoders of this kind write, as a dict.

    Raises:
        ValueError: if no config expresses the rotary scaling.
    """
    if not has_rotary_config(backbone):
        raise ValueError(
            "`rotary_scaling` must be one that transformers expresses. Received: "
            f"rotary_scaling={backbone.rotary_scaling!r}."
        )
    return {
        "model_type": model_type,
        **write_fields(backbone, fields),
        "head_dim": backbone.head_dim or backbone.hidden_dim // backbone.num_heads,
        # Missing ones would be those of the first Llama, 1 and 2.
        "bos_token_id": None,
        "eos_token_id": None,
        **make_rotary_config(backbone),
    }


def _make_config(backbone, model_type):
    config = make_decoder_config(backbone, model_type, make_fields(_DEFAULT_SIZES[model_type]))
    window = backbone.sliding_window
    if model_type == "qwen2":
        # Its heads have the usual width, and its config has no key for another one.
        if backbone.head_dim not in (None, backbone.hidden_dim / backbone.num_heads):
            raise ValueError(f"A Qwen2 has no `head_dim`. Received: {backbone.head_dim}.")
        del config["head_dim"]
        return {**config, **make_window_config(backbone)}
    if model_type == "mistral":
        return {**config, "sliding_window": window}
    attention, feed_forward = _find_biases(backbone)
    return {**config, "attention_bias": attention, "mlp_bias": feed_forward}


def make_window_config(backbone):
    """What Qwen's configs say of a sliding window, as a dict."""
    window = backbone.sliding_window
    first = backbone.num_layers if window is None else 0
    return {
        "use_sliding_window": window is not None,
        "sliding_window": window,
        "max_window_layers": first,
    }


def _find_biases(backbone):
    """Whether query, key and value have biases, and whether the feed-forward has them."""
    own = backbone.use_attention_bias
    return backbone.use_bias if own is None else own, backbone.use_bias


def _accepts(task, model_type):
    # transformers' Llama refuses a width that the heads do not divide, whatever their size is.
    return model_type != "llama" or task.backbone.hidden_dim % task.backbone.num_heads == 0


def _read_biases(config, model_type):
    if model_type != "llama":
        own = True if model_type == "qwen2" else None
        return {"use_bias": False, "use_attention_bias": own, "use_output_bias": None}
    attention = read_flag(config, "attention_bias", False)
    feed_forward = read_flag(config, "mlp_bias", False)
    own = None if attention == feed_forward else attention
    return {"use_bias": feed_forward, "use_attention_bias": own, "use_output_bias": own}


def read_window(config, num_layers):
    """The sliding window of all layers, or None."""
    limit = MAX_SIZES["sliding_window"]
    window = read_size(config, "sliding_window", 4096, limit, optional=True)
    if config["model_type"] == "mistral":
        return window
    if not read_flag(config, "use_sliding_window", False):
        window = None
    kinds = config.get("layer_types")
    if kinds is None:
        first = read_size(config, "max_window_layers", 28, 2**24, lowest=0)
        kinds = [
            _FULL if index < first or window is None else _SLIDING for index in range(num_layers)
        ]
    if kinds == [_FULL] * num_layers:
        return None
    if kinds != [_SLIDING] * num_layers or window is None:
        raise ValueError(
            "`layer_types` must be the same for all layers, with a `sliding_window` where they "
            f"slide. Received: sliding_window={window}, layer_types={kinds!r:.200}."
        )
    return window


def make_modules(arguments, block=None):
    """The module of each layer: dict of a layer's path -> tuple of names.

    Args:
        arguments: dict of the backbone's arguments.
        block: dict of further layers of a block -> names.
    """
    block = {**_BLOCK, **(block or {})}
    return {**_MODULES, **place_blocks(arguments["num_layers"], "layers", block)}


def _make_widths(arguments):
    """The widths of query, key and value, which lie side by side in one kernel."""
    shapes = variable_shapes(arguments)
    queries, _ = shapes["block_0/self_attention/output/kernel"]
    _, whole = shapes["block_0/self_attention/query_key_value/kernel"]
    shared = (whole - queries) // 2
    return {
        f"block_{index}/self_attention/query_key_value": (queries, shared, shared)
        for index in range(arguments["num_layers"])
    }


def make_llama_family(**own):
    """The record of a family with Llama's tensors.

    Args:
        own: fields of `Family` beside those that all of them have.
    """
    shared = {
        "heads": make_decoder_heads("ForCausalLM", EMBEDDINGS),
        "prefix": "model.",
        "modules": make_modules,
        "widths": _make_widths,
        "ignored": IGNORED,
    }
    return make_decoder_family(**{**shared, **own})


FAMILIES = (
    make_llama_family(
        # A Mistral without a window is a Llama: the numbers are the same.
        classes={"llama": "Llama", "qwen2": "Qwen2", "mistral": "Mistral"},
        read_arguments=_read_arguments,
        make_config=_make_config,
        tokenizers=("BytePairTokenizer", "SentencePieceTokenizer"),
        accepts=_accepts,
    ),
)
